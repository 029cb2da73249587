"""Which sources there are: one line each. A source's own module is imported when it is first used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext_noop

from importer.exceptions import BadRequest
from importer.sources.labels import label_of
from marketdata.texts import listed

if TYPE_CHECKING:
    from importer.sources.base import Source

T = TypeVar("T", bound="Source")
AUTO = "auto"


@dataclass(frozen=True)
class Entry:
    """``target``: what makes the source, by its dotted name; called with the path if ``takes_path``."""

    target: str
    takes_path: bool = False
    # Asked over the network, so that ``auto`` may use it.
    network: bool = False
    # Stocks on a page of its snapshot (0: it has none), and the seconds that AKShare sleeps before each page.
    stocks_per_page: int = 0
    sleep: float = 0.0
    # Its list of stocks lacks an exchange, or those that were delisted.
    partial_list: bool = False


SOURCES: Mapping[str, Entry] = {
    "eastmoney": Entry("importer.sources.akshare.eastmoney.Eastmoney", network=True, stocks_per_page=100, sleep=1.0),
    "sina": Entry("importer.sources.akshare.sina.Sina", network=True, stocks_per_page=80),
    "tencent": Entry("importer.sources.akshare.tencent.Tencent", network=True, partial_list=True),
    "baostock": Entry("importer.sources.baostock.Baostock", network=True, partial_list=True),
    "tdxquotes": Entry("importer.sources.tdxquotes.TdxQuotes", network=True, partial_list=True),
    "tdx": Entry("importer.sources.tdx.Tdx", takes_path=True),
    "files": Entry("importer.sources.files.Files", takes_path=True),
    "simulated": Entry("importer.sources.simulated.open_market", stocks_per_page=100_000),
}

# No sources of bars, but asked like them: the exchanges' lists of stocks, and corporate actions.
PACED_BESIDE = ("exchanges", "datacenter")

# Who bans least comes first, and who is needed for more than bars late: docs/decisions/011-auto-order.md
DEFAULT_ORDER: Sequence[str] = ("tdxquotes", "baostock", "sina", "eastmoney", "tencent")


def source_names() -> list[str]:
    """Return the names of all sources, as users type them (``auto``, which goes through several, is none)."""
    return list(SOURCES)


def paced_names() -> list[str]:
    """Return the names of all that has a pace of its own, or may have one."""
    return [*SOURCES, *PACED_BESIDE]


def auto_order() -> list[str]:
    """Return the sources that ``auto`` asks, in this order: BARVAULT_AUTO_ORDER, or DEFAULT_ORDER.

    Raises BadRequest when the setting names something else.
    """
    network = [name for name, entry in SOURCES.items() if entry.network]
    for name in settings.AUTO_ORDER:
        if name not in network:
            raise BadRequest(
                "source",
                gettext_noop("BARVAULT_AUTO_ORDER names “%(source)s”; it may name %(names)s."),
                source=name,
                names=listed(network),
            )
    return list(settings.AUTO_ORDER or DEFAULT_ORDER)


def by_list(sources: Sequence[Source]) -> list[Source]:
    """Return ``sources`` in the order in which they are asked for the list of stocks: those with whole lists first."""
    return sorted(sources, key=has_partial_list)


def has_partial_list(source: Source) -> bool:
    """Say whether the list of ``source`` lacks an exchange, or the stocks that were delisted."""
    entry = SOURCES.get(source.name)
    return entry is not None and entry.partial_list


def in_registry_order(sources: Sequence[T]) -> list[T]:
    """Return ``sources`` in the order in which they are asked for more than bars (snapshots, corporate actions).

    It is that of SOURCES: whoever is asked late for bars is the one who can still answer.
    """
    places = {name: place for place, name in enumerate(SOURCES)}
    return sorted(sources, key=lambda source: places.get(source.name, len(places)))


def label(name: str) -> str:
    """Return the msgid of the words for a source: “Eastmoney”, “TDX files” …"""
    return label_of(name)


def get_source(name: str, path: str | None = None) -> Source:
    """Return the source called ``name``, which reads below ``path`` if it reads files.

    Nothing is asked or read yet: ``check_path()`` of a source that reads files looks at the path.
    Raises BadRequest for an unknown name, or when a path is missing or makes no sense.
    """
    entry = SOURCES.get(name)
    if entry is None:
        raise BadRequest(
            "source",
            gettext_noop("There is no source “%(source)s”. Choose one of %(names)s."),
            source=name,
            names=listed([AUTO, *SOURCES]),
        )
    if entry.takes_path and not path:
        raise BadRequest("path", gettext_noop("The source %(source)s needs a path: the folder or file to read."), source=name)  # fmt: skip  # noqa: E501
    if path and not entry.takes_path:
        reading = listed([each for each, other in SOURCES.items() if other.takes_path])
        raise BadRequest(
            "path",
            gettext_noop("The source %(source)s reads no files. Leave the path out, or choose one of %(names)s."),
            source=name,
            names=reading,
        )
    make = import_string(entry.target)
    source: Source = make(path) if entry.takes_path else make()
    return source
