"""The environment of a test or benchmark run: nothing of the user's own set-up is read or written.

Call ``isolate()`` before Django's settings are loaded.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# What a test run itself is told by its environment, e.g. which PostgreSQL server to use.
KEPT_PREFIX = "BARVAULT_TEST_"
OWN_NAMES = frozenset({"DATABASE_URL", "SECRET_KEY", "DEBUG"})
PROXY_NAMES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "FTP_PROXY"})


def isolate(prefix: str = "barvault-tests-") -> Path:
    """Forget the user's settings, and let this process and its children keep their files in a folder of their own.

    1. The variables that Barvault reads, and those that name a proxy, are taken out of the environment.
    2. ``.env`` is not read.
    3. ``BARVAULT_VAR_DIR`` is a new temporary folder, removed when this process ends. It is returned.
    """
    for name in list(os.environ):
        if _is_the_users(name):
            del os.environ[name]
    os.environ["BARVAULT_ENV_FILE"] = os.devnull
    var_dir = Path(tempfile.mkdtemp(prefix=prefix))
    os.environ["BARVAULT_VAR_DIR"] = str(var_dir)
    atexit.register(_remove, var_dir, os.getpid())
    return var_dir


def _is_the_users(name: str) -> bool:
    if name.startswith(KEPT_PREFIX):
        return False
    return name.startswith("BARVAULT_") or name in OWN_NAMES or name.upper() in PROXY_NAMES


def _remove(var_dir: Path, owner: int) -> None:
    # A forked child runs its parent's exit handlers: the folder is not its own.
    if os.getpid() == owner:
        shutil.rmtree(var_dir, ignore_errors=True)
