"""Log lines for something that may fail every second for minutes: the first, one a minute, and the end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from config.log_lines import in_english

_REPEAT_AFTER = 60.0


class OutageLog:
    """Keeps the log readable while ``subject`` (the start of a sentence) cannot be reached."""

    def __init__(self, logger: logging.Logger, subject: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._subject = subject
        self._began: float | None = None
        self._logged = 0.0

    def failed(self, error: Exception) -> None:
        now = self._clock()
        if self._began is None:
            self._began = now
        elif now - self._logged < _REPEAT_AFTER:
            return
        self._logged = now
        said = in_english(error).strip().rstrip(".") or type(error).__name__
        self._logger.warning("%s: %s. Trying again.", self._subject, said)

    def worked(self) -> None:
        if self._began is not None:
            self._logger.info("%s: works again after %.0f s.", self._subject, self._clock() - self._began)
            self._began = None
