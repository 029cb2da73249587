"""Reading in a notebook: three lines, inside the event loop that Jupyter runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from django.conf import settings

CELLS = """
import asyncio

async def cell():
    import config.notebook
    from marketdata.reading import load_day
    return load_day("2024-01-03")

from django.core.management import call_command
import config.notebook
call_command("migrate", verbosity=0)
print(len(asyncio.run(cell())))
"""


def test_three_lines_read_inside_a_running_event_loop(tmp_path: Path) -> None:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DJANGO_SETTINGS_MODULE", "DJANGO_ALLOW_ASYNC_UNSAFE")
    }
    environment["DATABASE_URL"] = f"sqlite:///{tmp_path}/data.sqlite3"
    ended = subprocess.run(
        [sys.executable, "-c", CELLS], env=environment, cwd=settings.BASE_DIR, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, "0"), ended.stderr
