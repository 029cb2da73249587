"""What the tests of the cluster ask again and again: is a worker busy, does it work, is everybody gone?"""

from __future__ import annotations

import uuid
from pathlib import Path

from tests.importer.processes import Installation, eventually, wait_until

TASKS = "tests.importer.cluster_tasks"


def start_task(installation: Installation, name: str, *arguments: float) -> Path:
    """Send a message that makes a worker busy, and wait until it is."""
    path = installation.var_dir / f"{name}-{uuid.uuid4().hex}"
    installation.enqueue(f"{TASKS}.{name}", str(path), *arguments)
    wait_until(path.exists, f"a worker runs {name}")
    return path


def works(installation: Installation) -> None:
    """Wait until a new message is run; send another one every few seconds, as a bell is rung."""
    sent: list[Path] = []

    def has_run() -> bool:
        return any(path.exists() for path in sent)

    def ring() -> bool:
        path = installation.var_dir / f"touch-{uuid.uuid4().hex}"
        sent.append(path)
        installation.enqueue(f"{TASKS}.touch", str(path))
        return eventually(has_run, 4)

    wait_until(ring, "a new message is run")


def accounts(installation: Installation) -> None:
    """Wait until a new message is run and deleted from the queue, which the monitor does."""
    before = installation.queue_length()
    works(installation)

    def another_one_went() -> bool:
        length = installation.queue_length()
        works(installation)
        return installation.queue_length() <= max(length, before)

    wait_until(another_one_went, "a message that was run is deleted")


def is_gone(installation: Installation) -> bool:
    return not installation.processes()
