"""The secret key's file: made once, and what keeps it from being made or read is a sentence."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.secret_key import read_or_create_secret_key


def test_a_key_that_was_made_is_read_again(tmp_path: Path) -> None:
    made = read_or_create_secret_key(tmp_path / "key")
    assert read_or_create_secret_key(tmp_path / "key") == made


def test_it_can_be_copied_into_any_file(tmp_path: Path) -> None:
    for number in range(20):
        assert re.fullmatch(r"[A-Za-z0-9_-]{60,}", read_or_create_secret_key(tmp_path / f"key-{number}"))


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    read_or_create_secret_key(tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_written_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"cannot be made \(.+\)\. Let this user write the folder"):
        read_or_create_secret_key(tmp_path / "not there" / "key")


def test_a_key_that_cannot_be_read_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "key").mkdir()
    with pytest.raises(ImproperlyConfigured, match=r"cannot be read \(.+\)\. Start Barvault as the user who owns it"):
        read_or_create_secret_key(tmp_path / "key")
