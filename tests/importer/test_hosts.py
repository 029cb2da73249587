from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.utils import timezone, translation

from importer.hosts import (
    ALIVE_WITHIN,
    Trouble,
    code_version,
    forget_old_hosts,
    live_hosts,
    live_workers,
    missed_hosts,
    namesake,
    say_alive,
    say_gone,
    trouble_of,
)
from importer.models import Host

pytestmark = pytest.mark.django_db


def say(name: str = "north", *, pid: int = 1, workers: int = 2, trouble: Trouble = Trouble.NONE) -> None:
    say_alive(name, pid=pid, workers=workers, restarts=0, trouble=trouble)


def seen_ago(name: str, ago: timedelta) -> None:
    Host.objects.filter(name=name).update(seen_at=timezone.now() - ago)


def test_a_host_that_says_so_is_alive() -> None:
    say("north", workers=2)
    say("south", workers=3)
    assert [host.name for host in live_hosts()] == ["north", "south"]
    assert live_workers() == 5


def test_a_host_that_was_not_heard_of_for_a_while_is_not() -> None:
    say()
    seen_ago("north", ALIVE_WITHIN * 1.5)
    assert live_hosts() == []
    assert live_workers() == 0


def test_a_host_that_said_goodbye_is_not() -> None:
    say(pid=1)
    say_gone("north", pid=1)
    assert live_hosts() == []


def test_the_goodbye_of_an_older_cluster_does_not_count() -> None:
    say(pid=1)
    say(pid=2)
    say_gone("north", pid=1)
    assert [host.pid for host in live_hosts()] == [2]


def test_a_row_from_the_future_is_of_a_clock_that_was_set_back() -> None:
    say()
    seen_ago("north", timedelta(hours=-1))
    assert live_hosts() == []
    say()
    assert len(live_hosts()) == 1


def test_its_start_is_that_of_its_cluster() -> None:
    say(pid=1)
    began = timezone.now() - timedelta(hours=5)
    Host.objects.update(started_at=began)
    say(pid=1)
    assert Host.objects.get().started_at == began
    say(pid=2)
    assert Host.objects.get().started_at > began


@pytest.mark.parametrize("trouble", [trouble for trouble in Trouble if trouble])
def test_each_trouble_has_a_sentence(trouble: Trouble) -> None:
    say(trouble=trouble)
    with translation.override("en"):
        assert trouble_of(Host.objects.get()).endswith(".")


def test_a_host_without_trouble_has_nothing_to_say() -> None:
    say(trouble=Trouble.CRASH_LOOP)
    say()
    assert trouble_of(Host.objects.get()) == ""


def test_a_host_tells_its_version() -> None:
    say()
    assert Host.objects.get().version == code_version()


def test_a_host_that_went_away_without_a_word_is_missed_for_a_day() -> None:
    say("north")
    say("south")
    seen_ago("north", ALIVE_WITHIN * 1.5)
    assert [host.name for host in missed_hosts()] == ["north"]
    seen_ago("north", timedelta(hours=25))
    assert missed_hosts() == []


def test_a_host_that_was_stopped_is_not_missed() -> None:
    say(pid=1)
    say_gone("north", pid=1)
    seen_ago("north", ALIVE_WITHIN * 1.5)
    assert missed_hosts() == []


def test_hosts_are_forgotten_after_a_week() -> None:
    say("north")
    say("south")
    seen_ago("north", timedelta(days=8))
    seen_ago("south", timedelta(days=6))
    forget_old_hosts()
    assert [host.name for host in Host.objects.all()] == ["south"]


def test_a_second_cluster_of_the_same_name_on_one_machine_is_noticed() -> None:
    say("north", pid=os.getppid())
    assert namesake("north") == os.getppid()
    assert namesake("south") is None


def test_one_that_died_and_is_started_again_has_no_namesake() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    say("north", pid=ended.pid)
    assert namesake("north") is None
