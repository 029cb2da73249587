"""Commands on a terminal: a pseudo-terminal that a test types into and reads from."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from tests.importer.processes import PATIENCE, SOURCE_DIR, Installation, obey_signals, wait_until

# What moves the cursor and sets colours.
_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """``manage.py`` with a terminal of its own, in a session of its own: what is typed reaches it alone."""

    def __init__(self, installation: Installation, *arguments: str, **environment: str) -> None:
        self._keyboard, terminal = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=SOURCE_DIR,
            env=installation._environment({"COLUMNS": "150", "TERM": "xterm", **environment}),
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            preexec_fn=_begin_on_the_terminal,
        )
        os.close(terminal)
        self._shown = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def raw(self) -> str:
        """Return all that was written, with the codes that move the cursor."""
        return bytes(self._shown).decode(errors="replace")

    @property
    def text(self) -> str:
        return _CONTROLS.sub("", self.raw)

    def wait_for(self, words: str) -> None:
        wait_until(lambda: words in self.text, f"the terminal shows “{words}”")

    def press_ctrl_c(self) -> None:
        os.write(self._keyboard, b"\x03")

    def wait(self) -> int:
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        os.close(self._keyboard)
        return status

    def _read(self) -> None:
        while True:
            try:
                part = os.read(self._keyboard, 65536)
            except OSError:
                # Linux: the last process has closed the terminal.
                return
            if not part:
                return
            self._shown += part


def manage_into(installation: Installation, output: IO[bytes], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``manage.py`` to its end with its output going into ``output``."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=SOURCE_DIR,
        env=installation._environment({}),
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def _begin_on_the_terminal() -> None:
    import fcntl
    import termios

    obey_signals()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def last_line(log: Path) -> str:
    """Return the last line of a file that is not empty."""
    return [line for line in log.read_text().splitlines() if line.strip()][-1]
