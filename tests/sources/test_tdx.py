from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pandas.testing import assert_frame_equal

from importer.exceptions import BadRequest
from importer.sources.base import BAR_COLUMNS, BadData, Source, SourceUnavailable, UnknownSymbol
from importer.sources.tdx import Tdx
from importer.sources.validation import validate_bars
from tests.sources.made_bars import bars, write_day_file

TODAY = date(2026, 6, 30)


@pytest.fixture
def vipdoc(tmp_path: Path) -> Path:
    """A vipdoc folder with stocks on three exchanges, and with what lies beside them."""
    folder = tmp_path / "vipdoc"
    names = ["sh600000", "sh688001", "sz000001", "sz300750", "bj430017", "bj920002"]
    others = [
        "sh000001",
        "sh880001",
        "sh510050",
        "sh900901",
        "sh113050",
        "sz399001",
        "sz159915",
        "sz200002",
        "bj899050",
    ]
    for number, name in enumerate([*names, *others]):
        write_day_file(folder / name[:2] / "lday" / f"{name}.day", bars(30, seed=number))
    (folder / "sh" / "lday" / "notes.txt").write_text("not a bar")
    (folder / "sh" / "minline").mkdir()
    return folder


def test_it_keeps_the_protocol_of_sources(vipdoc: Path) -> None:
    assert isinstance(Tdx(str(vipdoc)), Source)


def test_only_a_shares_are_listed(vipdoc: Path) -> None:
    listed = Tdx(str(vipdoc)).stocks()
    assert [(stock.symbol, stock.board) for stock in listed] == [
        ("000001.SZ", "main"),
        ("300750.SZ", "chinext"),
        ("430017.BJ", "beijing"),
        ("600000.SH", "main"),
        ("688001.SH", "star"),
        ("920002.BJ", "beijing"),
    ]


def test_bars_come_out_as_they_were_written(vipdoc: Path) -> None:
    frame = Tdx(str(vipdoc)).daily_bars("600000.SH", None, None)
    assert tuple(frame.columns) == BAR_COLUMNS
    assert_frame_equal(frame, bars(30, seed=0), rtol=1e-7)
    assert validate_bars(frame, symbol="600000.SH", source="tdx", start=None, end=None, today=TODAY).frame is frame


def test_the_range_includes_both_ends(vipdoc: Path) -> None:
    frame = Tdx(str(vipdoc)).daily_bars("600000.SH", date(2023, 1, 4), date(2023, 1, 6))
    assert [str(day.date()) for day in frame["date"]] == ["2023-01-04", "2023-01-05", "2023-01-06"]


@pytest.mark.parametrize("below", ["..", ".", "sh", "sh/lday"])
def test_the_folder_may_be_vipdoc_or_above_or_below_it(vipdoc: Path, below: str) -> None:
    source = Tdx(str(vipdoc / below))
    source.check_path()
    assert len(source.daily_bars("600000.SH", None, None)) == 30


def test_one_exchanges_folder_lists_that_exchange_only(vipdoc: Path) -> None:
    assert {stock.symbol[-2:] for stock in Tdx(str(vipdoc / "sh" / "lday")).stocks()} == {"SH"}


def test_a_stock_without_a_file_is_unknown(vipdoc: Path) -> None:
    with pytest.raises(UnknownSymbol, match=r"no file sh600519\.day for 600519\.SH"):
        Tdx(str(vipdoc)).daily_bars("600519.SH", None, None)


def test_a_file_that_was_cut_off_is_refused_by_name(vipdoc: Path) -> None:
    file = vipdoc / "sh" / "lday" / "sh600000.day"
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(BadData, match=r"sh600000\.day is cut off: its 955 bytes"):
        Tdx(str(vipdoc)).daily_bars("600000.SH", None, None)


def test_an_empty_file_has_no_bars(vipdoc: Path) -> None:
    (vipdoc / "sh" / "lday" / "sh600000.day").write_bytes(b"")
    assert Tdx(str(vipdoc)).daily_bars("600000.SH", None, None).empty


def test_a_file_that_cannot_be_read_is_no_unknown_symbol(vipdoc: Path) -> None:
    file = vipdoc / "sh" / "lday" / "sh600000.day"
    file.unlink()
    file.mkdir()
    (file / "so that its size is not nothing").touch()
    with pytest.raises((SourceUnavailable, BadData)):
        Tdx(str(vipdoc)).daily_bars("600000.SH", None, None)


def test_a_date_that_is_none_is_listed_and_not_dropped_silently(vipdoc: Path) -> None:
    file = vipdoc / "sh" / "lday" / "sh600000.day"
    content = bytearray(file.read_bytes())
    content[32 * 3 : 32 * 3 + 4] = (20230231).to_bytes(4, "little")
    file.write_bytes(content)
    frame = Tdx(str(vipdoc)).daily_bars("600000.SH", date(2023, 1, 1), date(2023, 12, 31))
    result = validate_bars(frame, symbol="600000.SH", source="tdx", start=None, end=None, today=TODAY)
    assert [finding.code for finding in result.findings] == ["no_date"]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path / "missing", "There is no .*missing"),
        (lambda path: path / "file.day", "is a file"),
        (lambda path: path / "empty", "holds no .day files of A-shares"),
        (lambda path: path / "indexes", "holds no .day files of A-shares"),
    ],
)
def test_a_path_without_stocks_is_a_bad_request(tmp_path: Path, make: object, sentence: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.day").touch()
    write_day_file(tmp_path / "indexes" / "sh" / "lday" / "sh000001.day", bars(3))
    with pytest.raises(BadRequest, match=sentence) as error:
        Tdx(str(make(tmp_path))).check_path()  # type: ignore[operator]
    assert error.value.field == "path"


@pytest.mark.parametrize(
    ("symbol", "count", "last", "close", "shares"),
    [
        ("000001.SZ", 4_995, date(2021, 5, 14), 23.32, 56_378_536),
        ("600000.SH", 6_119, date(2025, 8, 5), 13.75, 133_646_594),
    ],
)
def test_real_files_pass_validation_completely(
    real_data: Path, symbol: str, count: int, last: date, close: float, shares: int
) -> None:
    frame = Tdx(str(real_data / "vipdoc")).daily_bars(symbol, None, None)
    result = validate_bars(frame, symbol=symbol, source="tdx", start=None, end=None, today=TODAY)
    assert (result.findings, result.suspended, result.duplicates) == ((), 0, 0)
    assert len(result.frame) == count
    newest = result.frame.iloc[-1]
    assert (newest["date"].date(), newest["close"], newest["volume"]) == (last, close, shares)


def test_the_real_index_file_is_not_taken_for_a_stock(real_data: Path) -> None:
    source = Tdx(str(real_data / "vipdoc"))
    source.check_path()
    assert [stock.symbol for stock in source.stocks()] == ["000001.SZ", "600000.SH"]
