"""An installation of the benchmark's own, with a real cluster of as many workers as there are lanes."""

from __future__ import annotations

import getpass
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks.figures import CannotMeasure

PATIENCE = 600.0
WAIT_FOR_WORKERS = "import time; from importer.hosts import live_workers\nwhile not live_workers(): time.sleep(0.1)"
_ROOT = Path(__file__).resolve().parent.parent


class Installation:
    """A migrated database and ``var`` folder; ``with`` ends what was started on it."""

    def __init__(self, var_dir: Path, database_url: str = "", environment: Mapping[str, str] | None = None) -> None:
        var_dir.mkdir(parents=True)
        self.environment = {
            **os.environ,
            "BARVAULT_VAR_DIR": str(var_dir),
            "DATABASE_URL": database_url or f"sqlite:///{var_dir / 'barvault.sqlite3'}",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "BARVAULT_LOG_LEVEL": "WARNING",
            **(environment or {}),
        }
        self.worker_peak_mb = 0.0
        self._cluster: subprocess.Popen[bytes] | None = None
        self.manage("migrate", "--verbosity", "0")

    def __enter__(self) -> Installation:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._cluster is not None:
            self._cluster.send_signal(signal.SIGTERM)
            self._cluster.wait(60)

    def manage(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=_ROOT, env=self.environment, check=check, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout

    def start_cluster(self, workers: int) -> None:
        self._cluster = subprocess.Popen(
            [sys.executable, "manage.py", "qcluster", "--workers", str(workers)], cwd=_ROOT, env=self.environment
        )

    def start_serve(self, workers: int) -> None:
        """Start the web page and the cluster, and wait until the cluster says that it is there."""
        self._cluster = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--port", "0", "--workers", str(workers)],
            cwd=_ROOT,
            env=self.environment,
            stdout=subprocess.DEVNULL,
        )
        self._wait_for_workers()

    def process_ids(self, *names: str) -> list[int]:
        """Return the living processes of this installation; with ``names`` only those called so. Linux only."""
        marker = f"BARVAULT_VAR_DIR={self.environment['BARVAULT_VAR_DIR']}\0"
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                if names and (entry / "comm").read_text().strip() not in names:
                    continue
                if marker in (entry / "environ").read_text():
                    found.append(int(entry.name))
            except (OSError, UnicodeDecodeError):
                continue
        return found

    def _wait_for_workers(self) -> None:
        assert self._cluster is not None
        waiting = subprocess.Popen(
            [sys.executable, "manage.py", "shell", "--no-imports", "-c", WAIT_FOR_WORKERS],
            cwd=_ROOT, env=self.environment,
        )  # fmt: skip
        while waiting.poll() is None:
            if self._cluster.poll() is not None:
                waiting.kill()
                raise RuntimeError(f"The cluster ended with status {self._cluster.returncode}.")
            time.sleep(0.05)

    def timed_import(self, *options: str, lanes: int) -> float:
        """Import with a cluster of ``lanes`` workers; return the seconds from the task's start to its end."""
        self.start_cluster(lanes)
        self._wait_for_workers()
        self.manage("import_bars", "--detach", "--lanes", str(lanes), *options)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            self._look_at_memory()
            status, started, ended = self._task()
            if status == "completed":
                return (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()
            if status in ("failed", "cancelled"):
                raise RuntimeError(f"The import has {status}.")
            time.sleep(0.2)
        raise RuntimeError("The import did not end.")

    def python(self, code: str) -> str:
        """Run code in the installation's Django and return what it printed."""
        return self.manage("shell", "--no-imports", "-c", code)

    def requests_between_slots(self, source: str) -> tuple[int, float]:
        """Return how many requests the source got after the first one, and the seconds between first and last."""
        words = self.python(
            "from importer.models import ImportTask, SourceState; "
            f"state = SourceState.objects.get(pk={source!r}); task = ImportTask.objects.get(); "
            "print(state.requests - 1, (state.last_success_at - task.planned_at).total_seconds())"
        ).split()
        return int(words[-2]), float(words[-1])

    def _task(self) -> tuple[str, str, str]:
        # Asked in this process: starting Django each time would take the cores from what is measured.
        statement = "SELECT status, started_at, finished_at FROM importer_importtask"
        url = self.environment["DATABASE_URL"]
        if url.startswith("sqlite"):
            with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=60)) as file:
                row = file.execute(statement).fetchone()
        else:
            with psycopg.connect(url) as server:
                row = server.execute(statement).fetchone()
        return (str(row[0]), str(row[1]), str(row[2])) if row else ("", "", "")

    def _look_at_memory(self) -> None:
        for pid in self.process_ids("bv-busy", "bv-idle"):
            try:
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            except OSError:
                continue
            # One that is just ending has none.
            peaks = [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")]
            self.worker_peak_mb = max([self.worker_peak_mb, *peaks])


@contextmanager
def empty_postgresql() -> Iterator[str]:
    """Yield the URL of a new database on the local PostgreSQL; raise CannotMeasure when none answers."""
    server = os.environ.get("BARVAULT_TEST_POSTGRESQL_URL", f"postgres://{getpass.getuser()}@127.0.0.1:5432/test")
    name = f"barvault_bench_{uuid.uuid4().hex[:12]}"
    try:
        with psycopg.connect(server, autocommit=True, connect_timeout=3) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.OperationalError as error:
        raise CannotMeasure(f"PostgreSQL does not answer: {error}") from error
    try:
        yield f"{server.rsplit('/', 1)[0]}/{name}"
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
