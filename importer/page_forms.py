"""The form that starts an import or an update: what was typed, and the request made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_noop

from importer.models import Kind
from importer.page_symbols import typed_symbols
from importer.sources.labels import label_of
from importer.sources.registry import AUTO, SOURCES
from importer.task_requests import DEFAULT_START, EARLIEST, TaskRequest, build_request
from marketdata.models import Origin
from marketdata.store import current_origin

RANGE_2021, RANGE_YEAR, RANGE_ALL, RANGE_OWN = "2021", "year", "all", "own"
RANGES = {
    RANGE_2021: gettext_noop("Since 2021-01-01"),
    RANGE_YEAR: gettext_noop("Past year"),
    RANGE_ALL: gettext_noop("Since listing"),
    RANGE_OWN: gettext_noop("Other dates"),
}


@dataclass(frozen=True)
class ImportForm:
    """What was typed, as text. ``path`` counts only for a source that reads files."""

    range: str = RANGE_2021
    start: str = ""
    end: str = ""
    symbols: str = ""
    source: str = ""
    path: str = ""
    refresh: bool = False

    @classmethod
    def of(cls, data: Mapping[str, str]) -> ImportForm:
        """Return the form as it was sent; what is missing is as on the first visit."""
        chosen = data.get("range", RANGE_2021)
        return cls(
            range=chosen if chosen in RANGES else RANGE_2021,
            start=data.get("start_date", "").strip(),
            end=data.get("end_date", "").strip(),
            symbols=data.get("symbols", "").strip(),
            source=data.get("source", default_source()).strip(),
            path=data.get("path", "").strip(),
            refresh=data.get("refresh", "") == "1",
        )

    def request(self, kind: Kind) -> TaskRequest:
        """Return the request. Raises what ``typed_symbols`` and ``build_request`` raise."""
        symbols, source = typed_symbols(self.symbols), self.source or None
        path = self.path if self._reads_files() else ""
        if kind == Kind.UPDATE:
            return build_request(kind, symbols=symbols, source=source, path=path or None)
        start, end = self._dates()
        return build_request(
            kind, start=start, end=end, symbols=symbols, source=source, path=path or None, refresh=self.refresh
        )

    def _reads_files(self) -> bool:
        entry = SOURCES.get(self.source)
        return entry is None or entry.takes_path

    def _dates(self) -> tuple[str | date | None, str | None]:
        if self.range == RANGE_OWN:
            return self.start or None, self.end or None
        if self.range == RANGE_YEAR:
            return timezone.localdate() - timedelta(days=365), None
        if self.range == RANGE_2021:
            return DEFAULT_START, None
        # Files say themselves where they begin.
        return (None if self.path and self._reads_files() else EARLIEST), None


def default_source() -> str:
    """Return the source that is chosen on the first visit: the configured one, if the form offers it."""
    names = [name for name, _label in source_choices()]
    return settings.SOURCE if settings.SOURCE in names else names[0]


def every_source() -> list[tuple[str, str]]:
    """Return all sources that a task may have been asked for, as (name, msgid)."""
    return [(AUTO, gettext_noop("Automatic (whichever answers)")), *((name, label_of(name)) for name in SOURCES)]


def source_choices() -> list[tuple[str, str]]:
    """Return the sources that the form offers, as (name, msgid): those that can work here."""
    if settings.SOURCE == "simulated" or current_origin() == Origin.SIMULATED:
        return [("simulated", label_of("simulated"))]
    network = [(name, label_of(name)) for name, entry in SOURCES.items() if entry.network]
    choices = [(AUTO, gettext_noop("Automatic (whichever answers)")), *network]
    if settings.FILES_ROOT:
        choices += [(name, label_of(name)) for name, entry in SOURCES.items() if entry.takes_path]
    return choices
