"""A cluster that ends again and again is told of on the page and by doctor, though it cannot say so itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client

from importer import cluster_watch
from importer.cluster_failing import cluster_fails, say_cluster_fails
from importer.dbtime import db_now
from importer.doctor import Verdict, work
from importer.hosts import Trouble, live_hosts, say_alive, trouble_here
from importer.models import Host
from importer.serving import Child, cluster_child
from tests.importer.processes import wait_until

FAILS = "fail again and again"


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def test_a_child_that_ends_again_and_again_is_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cluster_watch, "_DELAYS", (0.0,))
    told: list[int] = []
    starts = 0

    def count() -> None:
        told.append(starts)

    child = Child("cluster", [sys.executable, "-S", "-c", ""], {}, tmp_path, on_crash_loop=count)

    def has_told() -> bool:
        nonlocal starts
        before = child.pid
        child.tend()
        starts += child.pid is not None and child.pid != before
        return bool(told)

    wait_until(has_told, "it was told of")
    child.kill()
    wait_until(child.has_ended, "it has ended")
    assert told == [cluster_watch.CRASH_LOOP]


def test_the_cluster_s_ends_are_remembered_for_the_page(tmp_path: Path) -> None:
    told = cluster_child(tmp_path, {})._on_crash_loop
    assert told is not None
    assert not cluster_fails()
    told()
    assert cluster_fails()


def test_a_full_disk_does_not_end_who_supervises(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "set", no_room)
    say_cluster_fails()
    assert not cluster_fails()


@pytest.mark.django_db
def test_the_page_does_not_say_that_serve_has_to_be_started() -> None:
    browser = Client(headers={"accept-language": "en"})
    assert FAILS not in browser.get("/data/live/").content.decode()
    say_cluster_fails()
    page = browser.get("/data/live/").content.decode()
    assert FAILS in page
    assert "Start the workers with" not in page


@pytest.mark.django_db
def test_doctor_finds_it_once(settings: Any) -> None:
    say_alive(settings.HOST_NAME, pid=1, workers=2, restarts=0, trouble=Trouble.NONE)
    Host.objects.update(seen_at=db_now() - timedelta(minutes=5))
    say_cluster_fails()
    (found,) = [str(fact.text) for fact in work.hosts() if fact.verdict == Verdict.FINDING]
    assert FAILS in found


@pytest.mark.django_db
def test_it_is_over_when_the_host_is_alive_again(settings: Any) -> None:
    say_cluster_fails()
    say_alive("another", pid=1, workers=2, restarts=0, trouble=Trouble.NONE)
    assert trouble_here(live_hosts())
    say_alive(settings.HOST_NAME, pid=2, workers=2, restarts=0, trouble=Trouble.NONE)
    assert not trouble_here(live_hosts())


@pytest.mark.django_db
def test_on_a_full_disk_the_page_does_not_ask_to_start_the_workers(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("A server keeps to itself what room it has.")
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: SimpleNamespace(total=10, used=10, free=0))
    page = Client(headers={"accept-language": "en"}).get("/data/live/").content.decode()
    assert "The disk that holds the database is full" in page
    assert "Start the workers with" not in page
    say_alive(settings.HOST_NAME, pid=1, workers=2, restarts=0, trouble=Trouble.NONE)
    assert not trouble_here(live_hosts()), "whoever could write that it is alive can write"
