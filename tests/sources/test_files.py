from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from importer.exceptions import BadRequest, StopRequested
from importer.sources import file_rows, file_split
from importer.sources.base import BAR_COLUMNS, BadData, Source, UnknownSymbol
from importer.sources.fetching import FetchContext, fetching
from importer.sources.files import Files
from importer.sources.validation import validate_bars
from tests.sources.made_bars import bars

SYMBOLS = ["000001.SZ", "300750.SZ", "600977.SH", "688001.SH", "920002.BJ"]


@pytest.fixture(autouse=True)
def own_var_folder(settings: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    settings.VAR_DIR = tmp_path_factory.mktemp("var")  # type: ignore[attr-defined]


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files be cut into many parts."""
    monkeypatch.setattr(file_rows, "PART_BYTES", 5_000)
    monkeypatch.setattr(file_rows, "PART_ROWS", 70)


def read(path: Path, symbol: str = "600977.SH", **asked: date | None) -> pd.DataFrame:
    return Files(str(path)).daily_bars(symbol, asked.get("start"), asked.get("end"))


def written(file: Path, text: str, encoding: str = "utf-8") -> Path:
    file.write_bytes(text.encode(encoding))
    return file


def csv_of(frame: pd.DataFrame, **options: object) -> str:
    return str(frame.to_csv(index=False, lineterminator="\n", **options))


def many(count: int = 60) -> pd.DataFrame:
    """Bars of several stocks, day after day."""
    frames = [bars(count, seed=number).assign(symbol=symbol) for number, symbol in enumerate(SYMBOLS)]
    return pd.concat(frames).sort_values(["date", "symbol"]).reset_index(drop=True)


def of_one(frame: pd.DataFrame, symbol: str) -> pd.DataFrame:
    return frame.loc[frame["symbol"] == symbol, list(BAR_COLUMNS)].reset_index(drop=True)


# One file per stock


def test_it_keeps_the_protocol_of_sources(tmp_path: Path) -> None:
    assert isinstance(Files(str(tmp_path)), Source)


@pytest.mark.parametrize("name", ["600977.SH.csv", "sh600977.csv", "600977.csv", "SH#600977.txt", "600977.SH.CSV"])
def test_a_file_is_named_by_its_symbol(tmp_path: Path, name: str) -> None:
    written(tmp_path / name, csv_of(bars()))
    assert [stock.symbol for stock in Files(str(tmp_path)).stocks()] == ["600977.SH"]
    assert_frame_equal(read(tmp_path), bars())


@pytest.mark.parametrize("name", ["600977.SH.parquet", "600977.SH.pq"])
def test_parquet_is_read(tmp_path: Path, name: str) -> None:
    bars().to_parquet(tmp_path / name)
    assert_frame_equal(read(tmp_path), bars())


def test_the_path_may_be_the_file(tmp_path: Path) -> None:
    file = written(tmp_path / "600977.SH.csv", csv_of(bars()))
    Files(str(file)).check_path()
    assert_frame_equal(read(file), bars())


def test_the_range_includes_both_ends(tmp_path: Path) -> None:
    written(tmp_path / "600977.SH.csv", csv_of(bars()))
    frame = read(tmp_path, start=date(2023, 1, 4), end=date(2023, 1, 6))
    assert [str(day.date()) for day in frame["date"]] == ["2023-01-04", "2023-01-05", "2023-01-06"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030"])
def test_encodings_are_recognised(tmp_path: Path, encoding: str) -> None:
    text = csv_of(bars().assign(名称="大秦铁路"))
    written(tmp_path / "600977.SH.csv", text, encoding)
    assert_frame_equal(read(tmp_path), bars())


def test_chinese_headers_are_understood(tmp_path: Path) -> None:
    names = {"date": "日期", "open": "开盘", "high": "最高", "low": "最低", "close": "收盘", "volume": "成交量", "amount": "成交额"}  # fmt: skip  # noqa: E501
    written(tmp_path / "600977.SH.csv", csv_of(bars().rename(columns=names)), "gbk")
    assert_frame_equal(read(tmp_path), bars())


def test_utf_16_is_refused_with_what_to_do(tmp_path: Path) -> None:
    written(tmp_path / "600977.SH.csv", csv_of(bars()), "utf-16")
    with pytest.raises(BadData, match=r"600977\.SH\.csv is in UTF-16\. Save it as UTF-8"):
        read(tmp_path)


def test_columns_may_stand_in_any_order_with_others_among_them(tmp_path: Path) -> None:
    mixed = bars().assign(turnover=0.5, name="a, b")[["amount", "name", "close", "high", "date", "low", "turnover", "open", "volume"]]  # fmt: skip  # noqa: E501
    written(tmp_path / "600977.SH.csv", csv_of(mixed))
    assert_frame_equal(read(tmp_path), bars())


@pytest.mark.parametrize("separator", ["\t", ";", "|"])
def test_other_separators_are_recognised(tmp_path: Path, separator: str) -> None:
    written(tmp_path / "600977.SH.csv", csv_of(bars(), sep=separator))
    assert_frame_equal(read(tmp_path), bars())


def test_windows_line_ends_and_capital_names_do_no_harm(tmp_path: Path) -> None:
    text = csv_of(bars().rename(columns=str.title)).replace("\n", "\r\n")
    written(tmp_path / "600977.SH.csv", text)
    assert_frame_equal(read(tmp_path), bars())


@pytest.mark.parametrize("form", ["%Y%m%d", "%Y/%m/%d", "%Y-%m-%d 00:00:00", "%Y.%m.%d"])
def test_dates_are_read_in_many_forms(tmp_path: Path, form: str) -> None:
    frame = bars()
    written(tmp_path / "600977.SH.csv", csv_of(frame.assign(date=frame["date"].dt.strftime(form))))
    assert_frame_equal(read(tmp_path), frame)


def test_dates_as_spreadsheets_write_them_are_read(tmp_path: Path) -> None:
    frame = bars()
    written(tmp_path / "600977.SH.csv", csv_of(frame.assign(date=[f"{d.year}/{d.month}/{d.day}" for d in frame["date"]])))  # fmt: skip  # noqa: E501
    assert_frame_equal(read(tmp_path), frame)


@pytest.mark.parametrize("text", ["2023", "2023-01", "02/01/2023", "2023-02-30", "soon", "", "2023-01-02 15:00:00", "2023-01-02T00:00:00Z"])  # fmt: skip  # noqa: E501
def test_a_date_that_cannot_be_read_is_listed(tmp_path: Path, text: str) -> None:
    frame = bars(30)
    written(tmp_path / "600977.SH.csv", csv_of(frame.assign(date=[text, *frame["date"].dt.strftime("%Y-%m-%d")[1:]])))
    read_back = read(tmp_path, start=date(2023, 1, 1), end=date(2023, 12, 31))
    assert [finding.code for finding in validated(read_back)] == ["no_date"]


@pytest.mark.parametrize(
    "dates",
    [
        lambda days: days.dt.date,
        lambda days: days.dt.strftime("%Y-%m-%d"),
        lambda days: days.dt.strftime("%Y%m%d").astype(int),
        lambda days: days.dt.tz_localize("Asia/Shanghai").dt.tz_convert("UTC"),
        lambda days: days.astype("datetime64[ns]"),
    ],
    ids=["date", "text", "number", "midnight in Shanghai, in UTC", "nanoseconds"],
)
def test_dates_in_parquet_are_read_in_many_types(tmp_path: Path, dates: object) -> None:
    frame = bars()
    frame.assign(date=dates(frame["date"])).to_parquet(tmp_path / "600977.SH.parquet")  # type: ignore[operator]
    assert_frame_equal(read(tmp_path), frame)


def test_rows_newest_first_come_out_by_date(tmp_path: Path) -> None:
    written(tmp_path / "600977.SH.csv", csv_of(bars()[::-1]))
    assert_frame_equal(read(tmp_path), bars())


def test_missing_columns_are_named_with_the_file(tmp_path: Path) -> None:
    written(tmp_path / "600977.SH.csv", csv_of(bars().drop(columns=["volume", "amount"])))
    with pytest.raises(BadData, match=r"600977\.SH\.csv lacks the columns volume, amount; it has date, open"):
        read(tmp_path)


def test_a_word_where_a_number_belongs_costs_its_row_only(tmp_path: Path) -> None:
    frame = bars(30).astype({"close": str})
    frame.loc[3, "close"] = "n.a."
    written(tmp_path / "600977.SH.csv", csv_of(frame))
    assert [finding.code for finding in validated(read(tmp_path))] == ["not_finite"]


def test_rows_without_a_trade_do_not_disturb(tmp_path: Path) -> None:
    frame = bars(30).astype(object)
    frame.loc[3, ["open", "high", "low", "close", "volume", "amount"]] = "-"
    written(tmp_path / "600977.SH.csv", csv_of(frame))
    assert validated(read(tmp_path)) == ()


def test_a_row_that_is_cut_off_refuses_the_file_by_name(tmp_path: Path) -> None:
    written(tmp_path / "600977.SH.csv", csv_of(bars())[:-40])
    with pytest.raises(BadData, match=r"600977\.SH\.csv cannot be read: .*Expected 7 columns"):
        read(tmp_path)


def test_a_damaged_parquet_file_is_refused_by_name(tmp_path: Path) -> None:
    bars().to_parquet(tmp_path / "600977.SH.parquet")
    content = (tmp_path / "600977.SH.parquet").read_bytes()
    (tmp_path / "600977.SH.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(BadData, match=r"600977\.SH\.parquet cannot be read"):
        read(tmp_path)


def test_a_stock_without_a_file_is_unknown(tmp_path: Path) -> None:
    written(tmp_path / "600977.SH.csv", csv_of(bars()))
    with pytest.raises(UnknownSymbol, match=r"no file in .* has bars of 600519\.SH"):
        read(tmp_path, "600519.SH")


def test_a_file_without_rows_has_no_bars(tmp_path: Path) -> None:
    written(tmp_path / "600977.SH.csv", csv_of(bars()[:0]))
    assert read(tmp_path).empty


def test_two_files_of_one_stock_are_read_together(tmp_path: Path) -> None:
    written(tmp_path / "600977.SH.csv", csv_of(bars(60)[:40]))
    bars(60)[30:].to_parquet(tmp_path / "sh600977.parquet")
    result = validate_bars(read(tmp_path), symbol="600977.SH", source="files", start=None, end=None, today=date.max)
    assert_frame_equal(result.frame, bars(60))
    assert (result.findings, result.duplicates) == ((), 10)


def test_a_file_named_by_a_stock_must_not_hold_others(tmp_path: Path) -> None:
    written(tmp_path / "600977.SH.csv", csv_of(many()))
    with pytest.raises(BadData, match=r"named by 600977\.SH, but its column “symbol” names other stocks"):
        read(tmp_path)


def test_hidden_files_notes_and_folders_are_left_alone(tmp_path: Path) -> None:
    written(tmp_path / "600977.SH.csv", csv_of(bars()))
    written(tmp_path / "._600519.SH.csv", "a file that a Mac leaves")
    written(tmp_path / "readme.txt", "what this is")
    written(tmp_path / "picture.png", "")
    (tmp_path / "600519.SH.csv").mkdir()
    source = Files(str(tmp_path))
    source.check_path()
    assert [stock.symbol for stock in source.stocks()] == ["600977.SH"]


# One file for many stocks


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("order", ["date", "symbol"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_of_many_stocks_gives_each_one_its_rows(tmp_path: Path, suffix: str, order: str) -> None:
    frame = many().sort_values([order, "date"], kind="stable")
    file = tmp_path / f"market.{suffix}"
    written(file, csv_of(frame)) if suffix == "csv" else frame.to_parquet(file)
    for path in (tmp_path, file):
        source = Files(str(path))
        source.check_path()
        assert [stock.symbol for stock in source.stocks()] == SYMBOLS
        for symbol in SYMBOLS:
            assert_frame_equal(source.daily_bars(symbol, None, None), of_one(many(), symbol))


@pytest.mark.parametrize(
    "spelled",
    [
        lambda symbols: symbols,
        lambda symbols: symbols.str[-2:].str.lower() + symbols.str[:6],
        lambda symbols: symbols.str[:6],
        lambda symbols: symbols.str[:6].astype(int),
        lambda symbols: symbols.astype("category"),
    ],
    ids=["canonical", "prefixed", "bare", "without its zeros", "category"],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_symbols_may_be_spelled_in_any_way(tmp_path: Path, spelled: object, suffix: str) -> None:
    frame = many()
    frame["symbol"] = spelled(frame["symbol"])  # type: ignore[operator]
    file = tmp_path / f"market.{suffix}"
    written(file, csv_of(frame)) if suffix == "csv" else frame.to_parquet(file)
    source = Files(str(tmp_path))
    assert [stock.symbol for stock in source.stocks()] == SYMBOLS
    assert_frame_equal(source.daily_bars("000001.SZ", None, None), of_one(many(), "000001.SZ"))


def test_rows_that_are_not_about_a_shares_are_left_out(tmp_path: Path) -> None:
    frame = many()
    others = pd.concat([bars(5).assign(symbol=other) for other in ("sh000001", "510050", "900901.SH", "AAPL", None)])
    written(tmp_path / "market.csv", csv_of(pd.concat([others, frame, others])))
    source = Files(str(tmp_path))
    assert [stock.symbol for stock in source.stocks()] == SYMBOLS
    assert_frame_equal(source.daily_bars("000001.SZ", None, None), of_one(frame, "000001.SZ"))


def test_several_files_of_many_stocks_are_read_together(tmp_path: Path) -> None:
    frame = many()
    written(tmp_path / "a.csv", csv_of(frame[:150]))
    frame[150:].to_parquet(tmp_path / "b.parquet")
    assert_frame_equal(read(tmp_path), of_one(frame, "600977.SH"))


@pytest.mark.usefixtures("small_parts")
def test_a_file_of_many_stocks_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "market.csv", csv_of(many()))
    Files(str(tmp_path)).stocks()

    def read_again(*_arguments: object, **_names: object) -> None:
        pytest.fail("the file was read again")

    monkeypatch.setattr(file_split, "read_parts", read_again)
    assert_frame_equal(read(tmp_path), of_one(many(), "600977.SH"))


def test_a_file_that_has_changed_is_read_anew(tmp_path: Path) -> None:
    file = written(tmp_path / "market.csv", csv_of(many(20)))
    assert len(read(tmp_path)) == 20
    written(file, csv_of(many(21)))
    assert len(read(tmp_path)) == 21


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_split_that_has_to_give_way_goes_on_where_it_was(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / f"market.{suffix}"
    written(file, csv_of(many())) if suffix == "csv" else many().to_parquet(file)
    numbers: list[int] = []
    write = file_split._write

    def noting(part: file_rows.Part, folder: Path, number: int) -> None:
        numbers.append(number)
        write(part, folder, number)

    monkeypatch.setattr(file_split, "_write", noting)
    hurried = FetchContext(deadline=time.monotonic() + 1, should_stop=lambda: False)
    tries = 0
    while tries < 50:
        tries += 1
        try:
            with fetching(hurried):
                frame = read(tmp_path)
            break
        except StopRequested:
            continue
    assert tries > 3
    assert numbers == list(range(len(numbers)))
    assert_frame_equal(frame, of_one(many(), "600977.SH"))


@pytest.mark.usefixtures("small_parts")
def test_of_several_that_need_a_split_at_once_one_makes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "market.csv", csv_of(many()))
    numbers: list[int] = []
    write = file_split._write

    def noting(part: file_rows.Part, folder: Path, number: int) -> None:
        numbers.append(number)
        write(part, folder, number)

    monkeypatch.setattr(file_split, "_write", noting)
    with ThreadPoolExecutor(4) as readers:
        frames = list(readers.map(lambda symbol: read(tmp_path, symbol), SYMBOLS))
    assert numbers == list(range(len(numbers)))
    for symbol, frame in zip(SYMBOLS, frames, strict=True):
        assert_frame_equal(frame, of_one(many(), symbol))


@pytest.mark.usefixtures("small_parts")
def test_a_part_that_was_written_by_half_is_written_again(tmp_path: Path, settings: object) -> None:
    written(tmp_path / "market.csv", csv_of(many()))
    Files(str(tmp_path)).stocks()
    (folder,) = (settings.VAR_DIR / "split").iterdir()  # type: ignore[attr-defined]
    (folder / "complete").unlink()
    last = sorted(folder.glob("*.json"))[-1]
    last.unlink()
    last.with_suffix(".rows").write_bytes(b"half a row")
    file_split._opened.cache_clear()
    assert_frame_equal(read(tmp_path), of_one(many(), "600977.SH"))


def test_splits_that_nobody_uses_any_more_are_removed(tmp_path: Path, settings: object) -> None:
    written(tmp_path / "market.csv", csv_of(many(20)))
    Files(str(tmp_path)).stocks()
    (old,) = (settings.VAR_DIR / "split").iterdir()  # type: ignore[attr-defined]
    os.utime(old, (0, 0))
    written(tmp_path / "market.csv", csv_of(many(21)))
    Files(str(tmp_path)).stocks()
    (new,) = (settings.VAR_DIR / "split").iterdir()  # type: ignore[attr-defined]
    assert new != old


# What 通达信 exports


def tdx_export(frame: pd.DataFrame, title: str, separator: str = ",") -> str:
    rows = frame.assign(date=frame["date"].dt.strftime("%Y/%m/%d"))
    lines = rows.to_csv(index=False, header=False, sep=separator, lineterminator="\r\n")
    header = "      日期\t    开盘\t    最高\t    最低\t    收盘\t    成交量\t    成交额"
    return f"{title}\r\n{header}\r\n{lines}数据来源:通达信\r\n"


@pytest.mark.parametrize("separator", [",", "\t", " "])
def test_an_export_without_adjustment_is_read(tmp_path: Path, separator: str) -> None:
    written(tmp_path / "SH#600977.txt", tdx_export(bars(), "600977 中国电影 日线 不复权", separator), "gbk")
    source = Files(str(tmp_path))
    source.check_path()
    assert_frame_equal(source.daily_bars("600977.SH", None, None), bars())


def test_an_export_says_which_stock_it_is_about_whatever_its_name(tmp_path: Path) -> None:
    written(tmp_path / "film.txt", tdx_export(bars(), "600977 中国电影 日线 不复权"), "gbk")
    assert [stock.symbol for stock in Files(str(tmp_path)).stocks()] == ["600977.SH"]


@pytest.mark.parametrize("adjustment", ["前复权", "后复权"])
def test_an_adjusted_export_is_refused_with_what_to_do(tmp_path: Path, adjustment: str) -> None:
    written(tmp_path / "SH#600977.txt", tdx_export(bars(), f"600977 中国电影 日线 {adjustment}"), "gbk")
    with pytest.raises(BadData, match=rf"SH#600977\.txt holds adjusted prices .*{adjustment}.*export it again"):
        read(tmp_path)


def test_the_real_adjusted_export_is_refused(real_data: Path) -> None:
    file = real_data / "tdx_export" / "SH#601006.txt"
    with pytest.raises(BadRequest, match=r"adjusted prices .*前复权") as error:
        Files(str(file)).check_path()
    assert error.value.field == "path"
    with pytest.raises(BadData, match="adjusted prices"):
        read(file.parent, "601006.SH")


def test_the_rows_of_the_real_adjusted_export_are_refused_without_its_title(real_data: Path, tmp_path: Path) -> None:
    text = (real_data / "tdx_export" / "SH#601006.txt").read_bytes().decode("gbk")
    rows = [line for line in text.splitlines() if line[:1].isdigit()][1:]
    written(tmp_path / "601006.SH.csv", "\n".join([",".join(BAR_COLUMNS), *rows]))
    with pytest.raises(BadData, match=r"601006\.SH look adjusted"):
        validated(read(tmp_path, "601006.SH"))
    with pytest.raises(BadRequest, match=r"601006\.SH look adjusted"):
        Files(str(tmp_path)).check_path()


# What is looked at before a task is made


def test_a_missing_path_is_a_bad_request(tmp_path: Path) -> None:
    refuse(tmp_path / "missing", "There is no .*missing")


def test_a_folder_without_files_of_bars_is_a_bad_request(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    refuse(tmp_path, "holds no CSV or Parquet files")


def test_a_table_that_names_no_stock_is_a_bad_request(tmp_path: Path) -> None:
    written(tmp_path / "600977.SH.csv", csv_of(bars()))
    written(tmp_path / "prices.csv", csv_of(bars()))
    refuse(tmp_path, r"prices\.csv does not say which stock")


def test_a_single_file_that_names_no_stock_is_a_bad_request(tmp_path: Path) -> None:
    refuse(written(tmp_path / "prices.txt", csv_of(bars())), r"prices\.txt does not say which stock")


def test_files_that_all_hold_lots_are_a_bad_request(tmp_path: Path) -> None:
    for symbol in SYMBOLS:
        frame = bars()
        written(tmp_path / f"{symbol}.csv", csv_of(frame.assign(volume=frame["volume"] // 100)))
    refuse(tmp_path, r"look like lots instead of shares")


def test_one_bad_file_among_others_is_not_the_requests_fault(tmp_path: Path) -> None:
    written(tmp_path / "000001.SZ.csv", "not,what,is,expected\n")
    written(tmp_path / "600977.SH.csv", csv_of(bars()))
    Files(str(tmp_path)).check_path()


def test_a_file_of_many_stocks_is_not_split_before_the_task_is_made(tmp_path: Path, settings: object) -> None:
    written(tmp_path / "market.csv", csv_of(many()))
    written(tmp_path / "600977.SH.csv", csv_of(bars()))
    Files(str(tmp_path)).check_path()
    assert not (settings.VAR_DIR / "split").exists()  # type: ignore[attr-defined]


def refuse(path: Path, sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence) as error:
        Files(str(path)).check_path()
    assert error.value.field == "path"


def validated(frame: pd.DataFrame) -> object:
    assert np.array_equal(frame.columns, BAR_COLUMNS)
    return validate_bars(frame, symbol="601006.SH", source="files", start=None, end=None, today=date.max).findings
