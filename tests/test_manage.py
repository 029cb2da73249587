"""``manage.py`` itself: what happens before a command takes over."""

from __future__ import annotations

import runpy
import sys
from typing import NoReturn

import pytest

from config.settings import BASE_DIR


def test_ctrl_c_before_the_command_has_begun_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_arguments: list[str]) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr("django.core.management.execute_from_command_line", interrupted)
    monkeypatch.setattr(sys, "argv", ["manage.py", "demo"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(BASE_DIR / "manage.py"), run_name="__main__")
    assert ended.value.code == 130
