"""To whom a database belongs: another secret key, older code and older tables are each told, in a sentence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.db.migrations.recorder import MigrationRecorder

from config.database_state import database_problem
from importer.belonging import Misfit, is_older, join, misfit, newest_version, running_code
from importer.hosts import MISFITS, Trouble, code_version, say_alive
from importer.models import Seal
from tests.importer.command_line import give_command

pytestmark = pytest.mark.django_db


def of_version(version: str) -> Any:
    return replace(running_code(), version=version)


def migrated_by_a_newer_version() -> None:
    MigrationRecorder.Migration.objects.create(app="importer", name="9999_from_the_future")


def test_the_first_start_seals_the_database_without_keeping_the_key(settings: Any) -> None:
    assert join() is None
    seal = Seal.objects.get()
    assert seal.version == code_version()
    assert settings.SECRET_KEY not in f"{seal.key_salt} {seal.key_fingerprint}"


def test_the_same_key_joins_again_and_leaves_the_seal() -> None:
    join()
    before = Seal.objects.values().get()
    assert join() is None
    assert Seal.objects.values().get() == before


def test_two_databases_have_different_fingerprints_of_one_key() -> None:
    join()
    first = Seal.objects.get().key_fingerprint
    Seal.objects.all().delete()
    join()
    assert Seal.objects.get().key_fingerprint != first


def test_another_key_is_refused_with_what_to_do(settings: Any) -> None:
    join()
    settings.SECRET_KEY = "another key that is long enough to be one"
    assert misfit() is Misfit.OTHER_KEY
    sentence = str(join())
    assert str(settings.VAR_DIR / "secret_key") in sentence
    assert "claim_database --key" in sentence
    assert settings.SECRET_KEY not in sentence


def test_a_newer_version_is_noted_and_an_older_one_refused() -> None:
    assert join(of_version("0.9")) is None
    assert join(of_version("0.10")) is None
    assert newest_version() == "0.10"
    assert misfit(of_version("0.9")) is Misfit.OLD_CODE
    assert "newer version (0.10) than this one (0.9)" in str(join(of_version("0.9")))
    assert newest_version() == "0.10"


@pytest.mark.parametrize(("older", "newer"), [("0.9", "0.10"), ("0.9.9", "1.0"), ("1.0", "1.0.1"), ("1.2.3", "1.10.0")])
def test_versions_are_compared_by_their_numbers(older: str, newer: str) -> None:
    assert is_older(older, newer)
    assert not is_older(newer, older)
    assert not is_older(newer, newer + ".0")


def test_tables_of_a_newer_version_are_told_whatever_the_version_says() -> None:
    join()
    migrated_by_a_newer_version()
    assert misfit() is Misfit.OLD_CODE
    assert "prepared by a newer version" in str(join())
    assert "prepared by a newer version" in str(database_problem())


def test_tables_of_an_older_version_are_told() -> None:
    join()
    code = running_code()
    newer = replace(code, migrations=code.migrations | {("importer", "9999_not_applied")})
    assert misfit(newer) is Misfit.OLD_TABLES
    assert "manage.py migrate" in str(join(newer))


def test_each_misfit_is_a_trouble_of_the_host() -> None:
    assert set(MISFITS) == set(Misfit)


@pytest.mark.django_db(transaction=True)
def test_a_lost_key_is_replaced_on_purpose(settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    join()
    settings.SECRET_KEY = "another key that is long enough to be one"
    outcome = give_command(capsys, "claim_database", "--key")
    assert outcome.status == 0
    assert misfit() is None


@pytest.mark.django_db(transaction=True)
def test_an_older_version_is_gone_back_to_on_purpose(capsys: pytest.CaptureFixture[str]) -> None:
    join(of_version("99.0"))
    assert misfit() is Misfit.OLD_CODE
    assert give_command(capsys, "claim_database", "--release").status == 0
    assert misfit() is None


@pytest.mark.django_db(transaction=True)
def test_nothing_is_claimed_while_workers_run(capsys: pytest.CaptureFixture[str]) -> None:
    join(of_version("99.0"))
    say_alive("north", pid=1, workers=2, restarts=0, trouble=Trouble.NONE)
    outcome = give_command(capsys, "claim_database", "--release")
    assert outcome.status == 2
    assert "north" in outcome.err
    assert misfit() is Misfit.OLD_CODE


@pytest.mark.django_db(transaction=True)
def test_nothing_is_claimed_unless_it_is_said_what(capsys: pytest.CaptureFixture[str]) -> None:
    assert give_command(capsys, "claim_database").status == 2
