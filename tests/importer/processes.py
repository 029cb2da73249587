"""Real processes for tests: an installation of its own, ``qcluster`` and ``serve`` on it, and who is who among them.

Everything that runs on an installation is found by an environment variable that only its processes have, so
an orphan is found, too. Roles are the names that the processes give themselves. Linux only.
"""

from __future__ import annotations

import contextlib
import os
import platform
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
import redis
from django.conf import settings

from importer.cluster import DISPATCH, STOP_GRACE

T = TypeVar("T")

# A slow machine under load is no failure; a test that hangs is one.
PATIENCE = 90.0
# For those who are to stop: on a busy machine they may not even be run within the product's own grace.
PATIENT_GRACE = 60.0
ROLES = {
    "bv-serve": "supervisor",
    "bv-web": "web",
    "bv-cluster": "cluster",
    "bv-notifier": "notifier",
    "bv-dispatcher": "dispatcher",
    "bv-sentinel": "sentinel",
    "bv-idle": "idle",
    "bv-busy": "busy",
    "bv-monitor": "monitor",
    "bv-pusher": "pusher",
}
CLUSTER_ROLES = ("cluster", "dispatcher", "sentinel", "monitor", "pusher")
SOURCE_DIR = Path(settings.BASE_DIR)

# The number of the system call read(), where /proc tells it.
_READ = {"x86_64": "0", "aarch64": "63"}


def wait_until(condition: Callable[[], T], what: str, *, patience: float = PATIENCE) -> T:
    """Return the first true answer of ``condition``, asked again and again; fail, naming ``what``, if none comes."""
    if answer := eventually(condition, patience):
        return answer
    pytest.fail(f"Waited {patience:.0f} s in vain: {what}.")


def eventually(condition: Callable[[], T], patience: float) -> T:
    """Return the first true answer of ``condition``, or the last one after ``patience`` seconds."""
    until = time.monotonic() + patience
    while not (answer := condition()) and time.monotonic() < until:
        time.sleep(0.1)
    return answer


@dataclass(frozen=True)
class Process:
    pid: int
    role: str

    def kill(self, signum: int = signal.SIGKILL) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signum)

    @property
    def is_there(self) -> bool:
        return _state(self.pid) not in ("", "Z")

    @property
    def reads_the_queue(self) -> bool:
        """Of an idle worker: it holds the queue's read lock and waits for the next message."""
        with contextlib.suppress(OSError):
            return Path(f"/proc/{self.pid}/syscall").read_text().split()[0] == _READ.get(platform.machine())
        return False


@dataclass
class Command:
    """A process that a test started; ``log`` is its file with all that it and its children print."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def send(self, signum: int) -> None:
        self.process.send_signal(signum)

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def wait(self) -> int:
        return self.process.wait(PATIENCE)


@dataclass
class Installation:
    """A database, a ``var`` folder and an environment of their own, for processes that a test starts."""

    var_dir: Path
    database_url: str = ""
    broker_url: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    _commands: list[Command] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.var_dir.mkdir(parents=True, exist_ok=True)
        self.database_url = self.database_url or f"sqlite:///{self.var_dir / 'barvault.sqlite3'}"

    # What runs on it

    def migrate(self, template: Path | None = None) -> None:
        """Make the tables; from ``template``, a migrated SQLite file, when there is one."""
        if template is not None and self.database_url.startswith("sqlite"):
            shutil.copy(template, self._sqlite_file)
        else:
            self.manage("migrate", "--verbosity", "0")

    def manage(self, *arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ``manage.py`` to its end and return what it printed."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=SOURCE_DIR,
            env=self._environment(environment),
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
            check=check,
        )

    def start(self, *arguments: str, **environment: str) -> Command:
        """Start ``manage.py`` in a process group of its own."""
        return self._start([sys.executable, "manage.py", *arguments], environment)

    def start_qcluster(self, workers: int = 2, **environment: str) -> Command:
        """Start ``qcluster`` and wait until it takes messages."""
        command = self.start("qcluster", "--workers", str(workers), **environment)
        self.wait_for_cluster(workers)
        return command

    def start_cluster(self, workers: int = 2, *, dispatch: str = DISPATCH, grace: float = STOP_GRACE) -> Command:
        """Start a cluster with another function to hand out work, or another grace for those who are to stop."""
        code = (
            "import django; django.setup(); from importer import cluster; "
            f"cluster.STOP_GRACE = {grace}; cluster.run_cluster(workers={workers}, dispatch={dispatch!r})"
        )
        command = self._start([sys.executable, "-c", code], {})
        self.wait_for_cluster(workers)
        return command

    def start_serve(self, *arguments: str, workers: int = 2, **environment: str) -> tuple[Command, str]:
        """Start ``serve`` on a free port; return it and its URL (empty with ``--no-web``) when it says it is ready."""
        command = self.start("serve", "--port", "0", "--workers", str(workers), *arguments, **environment)
        self.wait_for_cluster(workers)
        if "--no-web" in arguments:
            return command, ""
        found = wait_until(lambda: re.search(r"http://\S+:\d+/", command.text()), f"serve is ready ({command.log})")
        return command, found.group()

    def stop(self) -> None:
        """End everything that still runs on this installation."""
        for process in self.processes():
            process.kill()
        for command in self._commands:
            command.process.wait(PATIENCE)
        wait_until(lambda: not self.processes(), "everything has ended")

    # Who runs on it

    def processes(self, role: str | None = None) -> list[Process]:
        """Return the living processes of this installation, orphans too; only those of ``role`` if one is named."""
        marker = f"BARVAULT_VAR_DIR={self.var_dir}".encode()
        found = [process for process in _all_processes() if marker in _environ(process.pid)]
        return [process for process in found if role is None or process.role == role]

    def process(self, role: str) -> Process:
        """Return the process of ``role``; wait for one if there is none at this moment."""
        return wait_until(lambda: self.processes(role), f"there is a process of the role {role}")[0]

    def lock_holder(self) -> Process:
        """Return the idle worker that holds the queue's read lock."""
        return wait_until(
            lambda: [process for process in self.processes("idle") if process.reads_the_queue],
            "an idle worker holds the queue's read lock",
        )[0]

    def wait_for_cluster(self, workers: int) -> None:
        wait_until(lambda: self._is_complete(workers), f"a cluster of {workers} workers is complete")

    def _is_complete(self, workers: int) -> bool:
        roles = Counter(process.role for process in self.processes())
        return all(roles[role] == 1 for role in CLUSTER_ROLES) and roles["idle"] + roles["busy"] == workers

    # What is in it

    def enqueue(self, function: str, *arguments: str | float, timeout: int | None = None) -> None:
        """Put a message into the queue as the product does; ``timeout`` is django-q2's own, in seconds."""
        from django_q.tasks import async_task

        envelope = _Envelope()
        options = {} if timeout is None else {"timeout": timeout}
        async_task(function, *arguments, q_options={**options, "broker": envelope})
        if self.broker_url:
            with redis.Redis.from_url(self.broker_url) as client:
                client.rpush("django_q:barvault:q", envelope.payload)
            return
        now = datetime.now(UTC).replace(tzinfo=None)
        self.sql(
            "INSERT INTO django_q_ormq (key, payload, lock) VALUES (?, ?, ?)",
            "barvault",
            envelope.payload,
            now.isoformat(" ") if self.database_url.startswith("sqlite") else now.isoformat() + "+00:00",
        )

    def queue_length(self) -> int:
        """Return how many messages are neither dealt with nor forgotten (with the database as the queue)."""
        return int(self.sql("SELECT COUNT(*) FROM django_q_ormq")[0][0])

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement (with ``?`` for values) on the installation's database and return its rows."""
        with self._connect() as connection:
            if isinstance(connection, psycopg.Connection):
                cursor: Any = connection.execute(statement.replace("?", "%s"), values)  # type: ignore[arg-type]
            else:
                cursor = connection.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description else []

    @contextlib.contextmanager
    def locked_database(self) -> Iterator[None]:
        """Hold SQLite's write lock: nobody else can write, and who tries waits."""
        connection = sqlite3.connect(self._sqlite_file, timeout=60, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
        finally:
            connection.close()

    @contextlib.contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection | psycopg.Connection[Any]]:
        if not self.database_url.startswith("sqlite"):
            with psycopg.connect(self.database_url, autocommit=True) as server:
                yield server
            return
        file = sqlite3.connect(self._sqlite_file, timeout=60, isolation_level=None)
        try:
            yield file
        finally:
            file.close()

    @property
    def _sqlite_file(self) -> Path:
        return Path(self.database_url.removeprefix("sqlite:///"))

    def _start(self, arguments: list[str], environment: Mapping[str, str]) -> Command:
        log = self.var_dir / f"process-{len(self._commands)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                arguments,
                cwd=SOURCE_DIR,
                env=self._environment(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=obey_signals,
            )
        command = Command(process, log)
        self._commands.append(command)
        return command

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        own = {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "BARVAULT_VAR_DIR": str(self.var_dir),
            "DATABASE_URL": self.database_url,
            "BARVAULT_BROKER_URL": self.broker_url,
            "SECRET_KEY": settings.SECRET_KEY,
            "PYTHONUNBUFFERED": "1",
        }
        return {**os.environ, **own, **self.environment, **more}


def free_port() -> int:
    """Return a port for a server that comes later, or again.

    One that the system chose would be among those that it gives to every client meanwhile.
    """
    while True:
        port = random.randrange(20_000, 30_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def obey_signals() -> None:
    """In a child before it starts: end at a signal, also where the test run itself ignores it.

    One in the background of a shell ignores Ctrl-C, one under nohup the end of its terminal, and children inherit that.
    """
    for signum in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(signum, signal.SIG_DFL)


class _Envelope:
    """A broker that keeps the one message it gets: django-q2 packs and signs, the test delivers."""

    list_key = "barvault"
    payload = ""

    def enqueue(self, payload: str) -> int:
        self.payload = payload
        return 0


def _all_processes() -> Iterator[Process]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                pid = int(entry.name)
                role = ROLES.get((entry / "comm").read_text().strip(), "other")
                if _state(pid) not in ("", "Z"):
                    yield Process(pid, role)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _environ(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
