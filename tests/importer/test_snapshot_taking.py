"""Which source shows which exchange, when one refuses in the middle: from sources made for the test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, ClassVar

import pandas as pd
import pytest

from importer.models import SnapshotPart
from importer.snapshot_parts import Piece
from importer.snapshot_taking import Taken, take_snapshot
from importer.sources.base import SNAPSHOT_COLUMNS, Banned, ListedStock
from marketdata.store import Standing
from marketdata.trading_days import EXCHANGE_TIME

pytestmark = pytest.mark.django_db(transaction=True)

DAY, BEFORE = date(2024, 6, 13), date(2024, 6, 12)
COVERED = (date(2024, 1, 1), BEFORE)
SYMBOLS = [f"{920001 + n}.BJ" for n in range(4)] + [f"{2001 + n:06}.SZ" for n in range(9)] + [f"{600000 + n}.SH" for n in range(9)]  # fmt: skip  # noqa: E501
STANDINGS = {symbol: Standing(1, symbol, BEFORE, 10.0, 10.2, 9.9, 10.1, 900, 9_090.0, COVERED) for symbol in SYMBOLS}
NOW = datetime(2024, 6, 13, 16, 30, tzinfo=EXCHANGE_TIME)


def row(symbol: str) -> dict[str, Any]:
    values = ("", 10.0, 10.5, 9.9, 10.2, 100_000.0, 1_020_000.0, 10.1)
    return dict(zip(SNAPSHOT_COLUMNS, (symbol, *values), strict=True))


@dataclass
class Shows:
    """A source that shows what ``change`` makes of the true day; the parts in ``refuses`` it does not show."""

    name: str
    snapshot_parts: Sequence[str]
    refuses: Sequence[str] = ()
    change: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame
    asked: list[str] = field(default_factory=list)
    label: ClassVar[str] = "test"
    paced: ClassVar[bool] = False
    local: ClassVar[bool] = False
    simulated: ClassVar[bool] = False

    def stocks(self) -> Iterable[ListedStock]:
        return []

    def daily_bars(self, symbol: str, start: date | None, end: date | None) -> pd.DataFrame:
        self.asked.append(symbol)
        days = pd.to_datetime([BEFORE, DAY]).astype("datetime64[s]")
        prices = {"open": 10.0, "high": 10.5, "low": 9.9, "close": 10.2}
        return pd.DataFrame({"date": days, **prices, "volume": 100_000, "amount": 1_020_000.0})

    def snapshot(self, day: date, part: str = "") -> pd.DataFrame:
        self.asked.append(part or "all")
        if part in self.refuses:
            raise Banned(source=self.name, detail="403")
        return self.change(pd.DataFrame([row(symbol) for symbol in SYMBOLS if symbol.endswith(part)]))


def pages(refuses: Sequence[str] = (), **options: Any) -> Shows:
    return Shows("eastmoney", ("BJ", "SZ", "SH"), refuses, **options)


def at_once(refuses: Sequence[str] = (), **options: Any) -> Shows:
    return Shows("sina", ("",), refuses, **options)


def take(*shown_by: Shows) -> Taken:
    return take_snapshot(shown_by, shown_by, STANDINGS, day=DAY, previous_day=BEFORE, now=lambda: NOW)


def shown(taken: Taken) -> dict[str, str]:
    return {piece.exchange: piece.source for piece in taken.pieces}


def test_what_one_source_shows_no_other_is_asked_for() -> None:
    second = at_once()
    taken = take(pages(), second)
    assert shown(taken) == dict.fromkeys(("BJ", "SZ", "SH"), "eastmoney")
    assert (second.asked, taken.refused, len(taken.table.rows)) == ([], (), len(SYMBOLS))


def test_a_ban_in_the_middle_keeps_what_came_and_another_source_shows_the_rest() -> None:
    taken = take(pages(refuses=("SZ", "SH")), at_once())
    assert taken.pieces == (Piece("eastmoney", "BJ", "BJ"), Piece("sina", "", "SH"), Piece("sina", "", "SZ"))
    assert (taken.refused, len(taken.table.rows)) == ((), len(SYMBOLS))
    kept = set(SnapshotPart.objects.values_list("source", "part"))
    assert kept == {("eastmoney", "BJ"), ("sina", "")}


def test_each_exchange_of_the_other_source_has_to_prove_itself() -> None:
    def yesterdays_shanghai(frame: pd.DataFrame) -> pd.DataFrame:
        old = frame["symbol"].str.endswith("SH")
        return frame.assign(volume=frame["volume"].mask(old, 900.0), close=frame["close"].mask(old, 10.1))

    taken = take(pages(refuses=("SZ", "SH")), at_once(change=yesterdays_shanghai))
    assert shown(taken) == {"BJ": "eastmoney", "SZ": "sina"}
    assert len(taken.refused) == 2, "why Eastmoney's and why Sina's Shanghai were not used"
    assert not any(symbol.endswith("SH") for symbol in taken.table.rows)


def test_an_exchange_that_the_other_source_lacks_is_left_to_its_stocks() -> None:
    taken = take(pages(refuses=("BJ",)), at_once(change=lambda frame: frame[~frame["symbol"].str.endswith("BJ")]))
    assert shown(taken) == {"SZ": "eastmoney", "SH": "eastmoney"}
    assert any("No stock in it has traded." in str(each) for each in taken.refused)


def test_when_both_refuse_nothing_is_shown_and_both_say_why() -> None:
    taken = take(pages(refuses=("BJ", "SZ", "SH")), at_once(refuses=("",)))
    assert (taken.pieces, len(taken.refused)) == ((), 6)


def test_what_is_kept_is_not_asked_for_again() -> None:
    take(pages(refuses=("SZ", "SH")), at_once())
    first, second = pages(refuses=("SZ", "SH")), at_once()
    assert shown(take(first, second)) == {"BJ": "eastmoney", "SZ": "sina", "SH": "sina"}
    assert "BJ" not in first.asked
    assert "all" not in second.asked


def test_the_other_source_alone_shows_the_market() -> None:
    assert shown(take(at_once())) == dict.fromkeys(("BJ", "SZ", "SH"), "sina")
