"""A file of many stocks, split once into parts in which each stock's rows lie together.

So a stock is read without reading the file, and never more than a part is in memory. The parts lie below
``var/split`` in a folder named after the file's path, size and time of change; every process of this machine reads
them. Each part is written whole or not at all: a split that was interrupted goes on where it was.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
from django.conf import settings

from importer.exceptions import StopRequested
from importer.sources.fetching import current_context
from importer.sources.file_formats import Layout
from importer.sources.file_rows import RECORD, Part, Records, read_parts

logger = logging.getLogger(__name__)

_COMPLETE = "complete"
# A fetch that ends with less time left than this goes on in the next one.
_SECONDS_FOR_A_PART = 5.0
_UNUSED_AFTER = 2 * 24 * 3600.0
_LOOK_EVERY = 0.1


class Split:
    """The parts of one file, complete."""

    def __init__(self, folder: Path) -> None:
        self._parts: list[tuple[Path, dict[str, tuple[int, int]]]] = []
        for number in range(int((folder / _COMPLETE).read_text())):
            index = json.loads((folder / f"{number:05d}.json").read_text())
            self._parts.append((folder / f"{number:05d}.rows", index))

    def symbols(self) -> set[str]:
        return {symbol for _file, index in self._parts for symbol in index}

    def records(self, symbol: str) -> Records:
        """Return a stock's rows in the file's order."""
        pieces = [np.empty(0, dtype=RECORD)]
        for file, index in self._parts:
            if symbol in index:
                start, count = index[symbol]
                pieces.append(np.fromfile(file, dtype=RECORD, count=count, offset=start * RECORD.itemsize))
        return np.concatenate(pieces)


def split_of(layout: Layout) -> Split:
    """Return the parts of a file; split it first if that has not been done.

    Raises StopRequested when the fetch has to give way or its time is nearly over: what was done is kept. Raises
    BadData and SourceUnavailable as ``read_parts`` does.
    """
    state = layout.file.stat()
    name = hashlib.blake2b(f"{layout.file.resolve()}\0{state.st_size}\0{state.st_mtime_ns}".encode(), digest_size=12)
    folder = Path(settings.VAR_DIR) / "split" / name.hexdigest()
    if not (folder / _COMPLETE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            _finish(layout, folder)
    os.utime(folder)
    return _opened(folder)


@lru_cache(maxsize=4)
def _opened(folder: Path) -> Split:
    return Split(folder)


def _finish(layout: Layout, folder: Path) -> None:
    """Write the parts that are not there yet, then the note that says how many they are."""
    if (folder / _COMPLETE).exists():
        return
    _remove_unused(folder.parent)
    done = len(list(folder.glob("*.json")))
    began = time.monotonic()
    number = done
    for part in read_parts(layout, skip=done):
        _write(part, folder, number)
        number += 1
        _give_way_in_time()
    _replace(folder / _COMPLETE, str(number))
    logger.info("%s: split into %s parts in %.1f s", layout.file, number - done, time.monotonic() - began)


def _write(part: Part, folder: Path, number: int) -> None:
    assert part.which is not None
    # The last of the symbols stands for rows without one; several spellings may be one stock.
    canonical = sorted({symbol for symbol in part.symbols if symbol is not None})
    places = {symbol: place for place, symbol in enumerate(canonical)}
    others = len(canonical)
    which = np.array([places.get(symbol or "", others) for symbol in part.symbols])[part.which]
    order = np.argsort(which, kind="stable")
    starts = np.searchsorted(which[order], np.arange(others + 1))
    index = {symbol: (int(starts[at]), int(starts[at + 1] - starts[at])) for symbol, at in places.items()}
    if left_out := len(order) - int(starts[others]):
        logger.info("%s: %s rows are not about A-shares", folder.name, left_out)
    part.records[order].tofile(folder / f"{number:05d}.rows")
    _replace(folder / f"{number:05d}.json", json.dumps(index))


def _replace(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def _give_way_in_time() -> None:
    context = current_context()
    if context is None:
        return
    context.raise_if_stopping()
    if context.seconds_left() < _SECONDS_FOR_A_PART:
        raise StopRequested


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system frees it when the process ends, however it does."""
    with (folder / "lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                _give_way_in_time()
                time.sleep(_LOOK_EVERY)
        yield


def _remove_unused(parent: Path) -> None:
    oldest = time.time() - _UNUSED_AFTER
    for folder in parent.iterdir():
        if folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)
