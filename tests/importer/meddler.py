"""Somebody who pauses, resumes and raises priorities at random, through the API, while everything else goes wrong."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import threading
import urllib.error
import urllib.request
import uuid
from typing import Any

from tests.importer.processes import Installation

URGENT = {"start_date": "2024-12-20", "end_date": "2024-12-25", "refresh": True}
STOCKS_AT_ONCE = 5


class Meddler:
    """Meddles with the oldest task, and has others go before it, until the block ends."""

    def __init__(self, installation: Installation, url: str, seed: int) -> None:
        self._installation = installation
        self._url = url
        self._dice = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        # What was done with success, by name.
        self.did: list[str] = []

    def __enter__(self) -> Meddler:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def let_go(self) -> None:
        """Resume what is paused or will be in a moment: a pause may take effect long after it was asked for."""
        held = "SELECT id FROM importer_importtask WHERE status = 'paused' OR requested_action = 'pause'"
        for row in self._installation.sql(held):
            self._call(f"tasks/{uuid.UUID(str(row[0]))}/resume", None)

    def _run(self) -> None:
        rows = self._task_and_stocks()
        while not rows and not self._stop.wait(0.2):
            rows = self._task_and_stocks()
        if not rows:
            return
        task, symbols = uuid.UUID(str(rows[0][0])), [row[1] for row in rows]
        while not self._stop.wait(self._dice.uniform(0.5, 2.0)):
            if self._dice.random() < 0.6:
                self._call(f"tasks/{task}/pause", None)
                self._stop.wait(self._dice.uniform(0.1, 1.0))
                self._call(f"tasks/{task}/resume", None)
            else:
                urgent = {**URGENT, "symbols": self._dice.sample(symbols, STOCKS_AT_ONCE)}
                self._call("import", {**urgent, "priority": 0})
                self._call("import", {**urgent, "priority": self._dice.randint(1, 10)})

    def _task_and_stocks(self) -> list[tuple[Any, ...]]:
        return self._installation.sql("SELECT t.id, s.symbol FROM importer_importtask t, marketdata_stock s ORDER BY 2")

    def _call(self, path: str, body: dict[str, Any] | None) -> None:
        request = urllib.request.Request(
            f"{self._url}api/data/{path}",
            data=b"" if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        # The web server may be dead at this moment, and the task in a state that allows it no more.
        troubles = (urllib.error.URLError, http.client.HTTPException, OSError)
        with contextlib.suppress(*troubles), urllib.request.urlopen(request, timeout=10):
            self.did.append(path.rpartition("/")[2])
