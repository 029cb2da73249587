"""A real Jupyter kernel: cells in, and what a notebook would show out."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

# Importing AKShare and pandas on a busy machine.
CELL_SECONDS = 120


@dataclass
class Shown:
    """What a cell shows. ``error`` is the name of the exception, ``sentence`` its text."""

    printed: str = ""
    logged: str = ""
    result: dict[str, str] = field(default_factory=dict)
    error: str = ""
    sentence: str = ""

    @property
    def text(self) -> str:
        """Return the value of the cell's last line; fails the test when the cell raised."""
        assert not self.error, f"{self.error}: {self.sentence}"
        return self.result.get("text/plain", "")


class Kernel:
    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self._manager, self._client = manager, client

    def run(self, cell: str) -> Shown:
        """Execute a cell and return what it shows."""
        shown = Shown()
        self._client.execute_interactive(cell, output_hook=lambda message: _take(message, shown), timeout=CELL_SECONDS)
        return shown

    def restart(self) -> None:
        self._manager.restart_kernel(now=True)
        self._client.wait_for_ready(timeout=CELL_SECONDS)


def install_kernel(folder: Path, **variables: str) -> Path:
    """Make a kernel of this Python known as docs/prices.md says; return the folder of kernels that holds it alone."""
    pairs = [part for pair in variables.items() for part in ("--env", *pair)]
    command = [sys.executable, "-m", "ipykernel", "install", "--prefix", str(folder), "--name", "barvault", *pairs]
    subprocess.run(command, capture_output=True, check=True)
    return folder / "share/jupyter/kernels"


@contextmanager
def started_kernel(kernels: Path, environment: Mapping[str, str], folder: Path) -> Iterator[Kernel]:
    """Yield the kernel ``barvault`` of a folder of kernels; it works in ``folder``."""
    manager = KernelManager(
        kernel_name="barvault",
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(kernels)]),
        connection_file=str(kernels / f"{uuid.uuid4().hex}.json"),
    )
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    manager.start_kernel(cwd=str(folder), env=dict(environment), **quiet)
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=CELL_SECONDS)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _take(message: Mapping[str, Any], shown: Shown) -> None:
    content = message["content"]
    match message["msg_type"]:
        case "stream" if content["name"] == "stdout":
            shown.printed += content["text"]
        case "stream":
            shown.logged += content["text"]
        case "execute_result" | "display_data":
            shown.result = content["data"]
        case "error":
            shown.error, shown.sentence = content["ename"], content["evalue"]
