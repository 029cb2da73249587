from __future__ import annotations

import json
import os
import resource
import signal
import tracemalloc
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.csv
import pyarrow.parquet
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from importer.sources.files import Files
from marketdata.actions import ListedAction, save_actions
from marketdata.adjusted import Adjustment
from marketdata.adjustment import Action, Adjust
from marketdata.exceptions import UnknownStock
from marketdata.export import MANIFEST, ExportError, ExportFailed, export_bars
from marketdata.exports.base import ExportedStock
from marketdata.exports.parquet_file import ParquetExport
from marketdata.exports.qlib_folder import QlibExport
from marketdata.reading import load_bars, load_panel
from marketdata.store import ensure_stocks, store_bars
from tests.marketdata.bars import bars, weekdays

# Two weeks; 2024-01-01 is a holiday.
DAYS = weekdays("2024-01-02", 9)
SYMBOLS = ("000002.SZ", "600000.SH")
HFQ = Adjustment(Adjust.HFQ)


def believable(days: Sequence[date], seed: int) -> pd.DataFrame:
    """Return bars whose amount fits their prices, as a source has to deliver them."""
    frame = bars(days, seed=seed)
    frame["close"] = frame["open"]
    frame["volume"] = 100_000 + np.arange(len(frame))
    frame["amount"] = np.round(frame["volume"] * frame["open"], 2)
    return frame


@pytest.fixture
def market(db: None) -> None:
    """Two stocks: 600000.SH with a split and every day, 000002.SZ suspended from the fourth to the sixth day."""
    ids = ensure_stocks(SYMBOLS)
    store_bars(ids["600000.SH"], believable(DAYS, 1), source="tdx", simulated=False, covered=None)
    suspended = [*DAYS[1:3], *DAYS[6:8]]
    store_bars(ids["000002.SZ"], believable(suspended, 2), source="tdx", simulated=False, covered=None)
    split = Action(DAYS[4], new_shares_per_share=1.0, cash_per_share=0.1)
    save_actions([ListedAction("600000.SH", split)], source="tdx")


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.usefixtures("market")
def test_csv_is_read_back_by_the_source_that_reads_files(tmp_path: Path) -> None:
    result = export_bars("csv", tmp_path / "out")

    source = Files(str(tmp_path / "out"))
    assert (result.stocks, result.bars) == (2, 13)
    for symbol in SYMBOLS:
        raw = load_bars(symbol).reset_index()
        pd.testing.assert_frame_equal(source.daily_bars(symbol, None, None), raw, check_dtype=False)


@pytest.mark.usefixtures("market")
def test_csv_has_plain_names_and_dates(tmp_path: Path) -> None:
    export_bars("csv", tmp_path / "out")

    first, second, *_rest = (tmp_path / "out" / "600000.SH.csv").read_text().splitlines()
    assert first == "date,open,high,low,close,volume,amount"
    assert second.startswith("2024-01-02,")
    assert '"' not in second


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize("adjust", list(Adjust))
def test_parquet_has_what_load_panel_reads(tmp_path: Path, adjust: Adjust) -> None:
    volume = adjust != Adjust.NONE
    export_bars("parquet", tmp_path / "out", adjustment=Adjustment(adjust, volume=volume))

    exported = pd.read_parquet(tmp_path / "out" / "bars.parquet")
    fields = ["open", "high", "low", "close", "volume", "amount"]
    panel = load_panel(None, fields=fields, adjust=adjust, layout="long", adjust_volume=volume)
    pd.testing.assert_frame_equal(exported, panel.assign(symbol=panel["symbol"].astype("str"))[exported.columns])
    said = {name: value for name, value in panel.attrs.items() if name not in ("complete", "incomplete")}
    assert exported.attrs == {**said, "as_of": DAYS[-1].isoformat()}


def test_parquet_writes_groups_of_rows_and_loses_none(tmp_path: Path) -> None:
    days = np.arange(8_000).astype("datetime64[D]")
    ones = np.ones(8_000)
    names = ("open", "high", "low", "close", "volume", "amount")
    export = ParquetExport(tmp_path, list)
    for number in range(60):
        columns = dict.fromkeys(names, ones * number)
        export.add(ExportedStock(f"{600000 + number}.SH", days, columns, ones, ones.astype(np.int64)))
    export.finish({})

    file = pyarrow.parquet.ParquetFile(tmp_path / "bars.parquet")
    assert (file.metadata.num_rows, file.metadata.num_row_groups) == (480_000, 3)
    assert file.read(["close"])["close"].to_numpy().sum() == 8_000 * sum(range(60))


def qlib_values(folder: Path, stock: str, field: str) -> pd.Series:
    """Read a field as qlib does: a start, then one float32 for each trading day."""
    calendar = (folder / "calendars" / "day.txt").read_text().split()
    start, *values = np.fromfile(folder / "features" / stock / f"{field}.day.bin", dtype="<f4")
    days = calendar[int(start) : int(start) + len(values)]
    return pd.Series(values, index=pd.to_datetime(days))


@pytest.mark.usefixtures("market")
def test_qlib_reads_back_what_is_stored(tmp_path: Path) -> None:
    export_bars("qlib", tmp_path / "out", adjustment=HFQ)

    for symbol, name in (("600000.SH", "sh600000"), ("000002.SZ", "sz000002")):
        raw, adjusted = load_bars(symbol), load_bars(symbol, adjust="hfq")
        for field in ("open", "high", "low", "close"):
            read = qlib_values(tmp_path / "out", name, field)
            assert read.dropna().to_numpy() == pytest.approx(adjusted[field].to_numpy(), rel=1e-6)
            assert list(read.dropna().index) == list(adjusted.index)
        factor = qlib_values(tmp_path / "out", name, "factor").dropna()
        volume = qlib_values(tmp_path / "out", name, "volume").dropna()
        vwap = qlib_values(tmp_path / "out", name, "vwap").dropna()
        assert (volume * factor).to_numpy() == pytest.approx(raw["volume"].to_numpy(), rel=1e-6)
        assert (vwap / factor).to_numpy() == pytest.approx((raw["amount"] / raw["volume"]).to_numpy(), rel=1e-6)


@pytest.mark.usefixtures("market")
def test_qlib_has_no_value_on_a_day_of_suspension(tmp_path: Path) -> None:
    export_bars("qlib", tmp_path / "out")

    close = qlib_values(tmp_path / "out", "sz000002", "close")
    assert [day.date() for day in close.index] == DAYS[1:8]
    assert [day.date() for day in close.index[close.isna()]] == DAYS[3:6]


@pytest.mark.usefixtures("market")
def test_qlib_knows_the_exchanges_days_and_each_stocks_life(tmp_path: Path) -> None:
    export_bars("qlib", tmp_path / "out", symbols=["000002.SZ"])

    calendar = (tmp_path / "out" / "calendars" / "day.txt").read_text().split()
    assert calendar == [str(day) for day in DAYS[1:8]]
    assert (tmp_path / "out" / "instruments" / "all.txt").read_text() == f"SZ000002\t{DAYS[1]}\t{DAYS[7]}\n"


@pytest.mark.django_db
def test_qlib_keeps_a_bar_on_a_day_that_is_not_the_exchanges(tmp_path: Path) -> None:
    days = ["1991-07-05", "1991-07-06", "1991-07-08"]
    store_bars(ensure_stocks(["000002.SZ"])["000002.SZ"], bars(days), source="tdx", simulated=False, covered=None)

    export_bars("qlib", tmp_path / "out")

    assert list(qlib_values(tmp_path / "out", "sz000002", "close").dropna().index) == list(pd.to_datetime(days))


def test_qlib_refuses_a_bar_on_a_day_that_it_was_not_told_of(tmp_path: Path) -> None:
    export = QlibExport(tmp_path, lambda: [date(2024, 1, 2), date(2024, 1, 4)])
    ones = np.ones(1)

    for day in ("2024-01-03", "2024-01-05"):
        stock = ExportedStock("600000.SH", np.array([day], "datetime64[D]"), {}, ones, ones.astype(np.int64))
        with pytest.raises(ValueError, match="not among the trading days"):
            export.add(stock)


@pytest.mark.usefixtures("market")
def test_qlib_has_no_factor_for_the_affine_form(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"qlib cannot hold prices adjusted by broker\. It takes: none, qfq, hfq"):
        export_bars("qlib", tmp_path / "out", adjustment=Adjustment(Adjust.BROKER))

    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize("file_format", ["csv", "parquet", "qlib"])
def test_an_export_says_how_its_prices_are_adjusted(tmp_path: Path, file_format: str) -> None:
    export_bars(file_format, tmp_path / "out", adjustment=HFQ)

    assert json.loads((tmp_path / "out" / MANIFEST).read_text()) == {
        "format": file_format,
        "stocks": 2,
        "bars": 13,
        "adjust": "hfq",
        "as_of": str(DAYS[-1]),
        "anchor": {"000002.SZ": str(DAYS[1]), "600000.SH": str(DAYS[0])},
        "flags": [],
    }


@pytest.mark.usefixtures("market")
def test_stocks_and_days_can_be_chosen(tmp_path: Path) -> None:
    result = export_bars("csv", tmp_path / "out", symbols=["600000.SH"], start=DAYS[1], end=DAYS[3])

    assert (result.stocks, result.bars) == (1, 3)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["600000.SH.csv", MANIFEST]


@pytest.mark.usefixtures("market")
def test_a_stock_without_a_bar_in_the_range_is_left_out(tmp_path: Path) -> None:
    assert export_bars("csv", tmp_path / "out", start=DAYS[8]).stocks == 1


@pytest.mark.usefixtures("market")
def test_what_is_stored_during_an_export_is_left_out(tmp_path: Path) -> None:
    def store_another_day(done: int, _total: int) -> None:
        if done == 1:
            stock_id = ensure_stocks(["600000.SH"])["600000.SH"]
            store_bars(stock_id, believable([date(2024, 1, 15)], 3), source="tdx", simulated=False, covered=None)
            later = Action(date(2024, 1, 15), new_shares_per_share=1.0)
            save_actions([ListedAction("600000.SH", later)], source="tdx")

    before = load_bars("600000", adjust="qfq")
    result = export_bars("csv", tmp_path / "out", adjustment=Adjustment(Adjust.QFQ), on_progress=store_another_day)

    exported = pd.read_csv(tmp_path / "out" / "600000.SH.csv")
    assert list(exported["close"]) == list(before["close"])
    assert result.said["anchor"] == {"000002.SZ": str(DAYS[7]), "600000.SH": str(DAYS[8])}


@pytest.mark.usefixtures("market")
def test_an_earlier_export_is_replaced(tmp_path: Path) -> None:
    export_bars("csv", tmp_path / "out")
    export_bars("parquet", tmp_path / "out")

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["bars.parquet", MANIFEST]
    assert leftovers(tmp_path) == []


@pytest.mark.usefixtures("market")
def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    assert export_bars("csv", tmp_path / "out").stocks == 2


@pytest.mark.usefixtures("market")
def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("dear diary")

    with pytest.raises(ExportError, match="holds other files and was left alone"):
        export_bars("csv", tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["diary.txt"]


@pytest.mark.usefixtures("market")
def test_an_export_that_is_broken_off_leaves_the_earlier_one(tmp_path: Path) -> None:
    export_bars("csv", tmp_path / "out")

    def break_off(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_bars("parquet", tmp_path / "out", on_progress=break_off)

    assert (tmp_path / "out" / "600000.SH.csv").exists()
    assert leftovers(tmp_path) == []


@pytest.mark.usefixtures("market")
def test_what_a_killed_export_left_is_removed_by_a_later_one(tmp_path: Path) -> None:
    names = [".out.0123abcd.partial", ".out.0123abcd.old", ".other.0123abcd.partial", ".out.notes.partial"]
    for name in names:
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (0, 0))

    export_bars("csv", tmp_path / "out")
    assert sorted(leftovers(tmp_path)) == [".other.0123abcd.partial", ".out.0123abcd.old", ".out.notes.partial"]

    export_bars("csv", tmp_path / "out")
    assert sorted(leftovers(tmp_path)) == [".other.0123abcd.partial", ".out.notes.partial"]


@pytest.mark.usefixtures("market")
def test_an_export_into_the_same_folder_that_is_at_work_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".out.0123abcd.partial" / "features").mkdir(parents=True)
    os.utime(tmp_path / ".out.0123abcd.partial", (0, 0))

    export_bars("csv", tmp_path / "out")

    assert leftovers(tmp_path) == [".out.0123abcd.partial"]


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize("file_format", ["csv", "parquet", "qlib"])
def test_a_full_disk_is_said_and_nothing_is_left(tmp_path: Path, file_format: str) -> None:
    # A limit on the size of files stands for the full disk: writing fails in the same place.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
    try:
        with pytest.raises(ExportFailed, match="File too large"):
            export_bars(file_format, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("market")
def test_the_command_removes_what_is_half_written_when_it_is_asked_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # At the moment when the first file is written.
    monkeypatch.setattr(pyarrow.csv, "write_csv", lambda *_arguments: os.kill(os.getpid(), signal.SIGTERM))

    with pytest.raises(KeyboardInterrupt):
        call_command("export_bars", format="csv", out=tmp_path / "out")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("market")
def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ExportFailed, match="Not a directory"):
        export_bars("csv", tmp_path / "file" / "out")


@pytest.mark.usefixtures("market")
def test_a_range_without_bars_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no bar to export"):
        export_bars("csv", tmp_path / "out", end=date(2000, 1, 1))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize("file_format", ["csv", "parquet", "qlib"])
def test_an_empty_database_is_a_sentence(tmp_path: Path, file_format: str) -> None:
    with pytest.raises(ExportError, match="no bar to export"):
        export_bars(file_format, tmp_path / "out", symbols=[])


@pytest.mark.usefixtures("market")
def test_a_stock_that_is_not_stored_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnknownStock, match=r"600519\.SH"):
        export_bars("csv", tmp_path / "out", symbols=["600519.SH"])


@pytest.mark.usefixtures("market")
def test_the_command_says_what_was_written_and_what_is_in_doubt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unexplained = Action(DAYS[2], previous_close=1.0)
    save_actions([ListedAction("600000.SH", unexplained)], source="tdx")
    out = tmp_path / "out"

    call_command("export_bars", format="csv", out=out, symbols="600000, sz000002", adjust="hfq", end=DAYS[7])

    printed = capsys.readouterr()
    assert printed.out == f"12 bars of 2 stocks were written to {out} (adjustment: hfq).\n"
    assert printed.err.startswith(f"600000.SH: ex-right without a known action on {DAYS[2]}.")


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"symbols": "abc"}, "is not a stock symbol"),
        ({"symbols": "600519"}, "600519.SH is not in the database"),
        ({"adjust_volume": True}, "--adjust-volume needs --adjust"),
        ({"start": date(2030, 1, 1)}, "no bar to export"),
    ],
)
def test_the_command_refuses_bad_input(tmp_path: Path, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(CommandError) as raised:
        call_command("export_bars", format="csv", out=tmp_path / "out", **options)  # type: ignore[arg-type]

    assert sentence in str(raised.value)
    assert raised.value.returncode == 2


@pytest.mark.usefixtures("market")
def test_the_command_ends_with_1_when_the_disk_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(CommandError) as raised:
        call_command("export_bars", format="csv", out=tmp_path / "file" / "out")

    assert raised.value.returncode == 1


@pytest.mark.django_db
@pytest.mark.parametrize("file_format", ["csv", "parquet", "qlib"])
def test_memory_does_not_grow_with_the_number_of_stocks(
    tmp_path: Path, file_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ParquetExport, "_ROWS_PER_GROUP", 1000)
    days = weekdays("2022-01-03", 500)
    frame = believable(days, 1)
    symbols = [f"{600000 + number}.SH" for number in range(60)]
    for stock_id in ensure_stocks(symbols).values():
        store_bars(stock_id, frame, source="tdx", simulated=False, covered=None)

    def peak(count: int) -> int:
        export_bars(file_format, tmp_path / f"warm{count}", symbols=symbols[:2], adjustment=HFQ)
        tracemalloc.start()
        try:
            export_bars(file_format, tmp_path / f"of{count}", symbols=symbols[:count], adjustment=HFQ)
            return tracemalloc.get_traced_memory()[1] + pyarrow.default_memory_pool().bytes_allocated()
        finally:
            tracemalloc.stop()

    assert peak(60) < 2 * peak(10)
