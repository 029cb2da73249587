from __future__ import annotations

import struct
from datetime import date
from pathlib import Path

import pytest

from marketdata.action_files import COLUMNS, BadActionFile, read_actions
from marketdata.actions import ListedAction
from marketdata.adjustment import Action

HEADER = ",".join(COLUMNS)


def written(folder: Path, *lines: str, header: str = HEADER, encoding: str = "utf-8") -> Path:
    path = folder / "actions.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding=encoding)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(BadActionFile) as raised:
        read_actions(path)
    return str(raised.value)


def test_a_row_becomes_an_action_of_the_canonical_symbol(tmp_path: Path) -> None:
    path = written(tmp_path, "sh600000,2016-06-23,0.515,0.1,0,0")

    assert read_actions(path) == [ListedAction("600000.SH", Action(date(2016, 6, 23), 0.515, 0.1))]


def test_the_columns_may_come_in_any_order_with_others_between_them(tmp_path: Path) -> None:
    header = "note,rights_price,rights_per_share,new_shares_per_share,cash_per_share,ex_date,symbol"
    path = written(tmp_path, "x,4.5,0.237,0,0,1997-07-14,000002", header=header)

    assert read_actions(path) == [
        ListedAction("000002.SZ", Action(date(1997, 7, 14), rights_per_share=0.237, rights_price=4.5))
    ]


def test_the_exchanges_previous_close_is_read_where_it_is_given(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "600000.SH,2016-06-23,0.515,0.1,0,0,15.80",
        "600000.SH,2017-05-25,0.2,0.3,0,0,",
        "600000.SH,2018-07-13,0,0,0,0,9.47",
        header=f"{HEADER},previous_close",
    )

    assert [each.action.previous_close for each in read_actions(path)] == [15.80, None, 9.47]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    assert len(read_actions(written(tmp_path, "600000,2016-06-23,0.515,0.1,0,0", encoding="utf-8-sig"))) == 1


def test_a_row_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    assert len(read_actions(written(tmp_path, *["600000,2016-06-23,0.515,0.1,0,0"] * 2))) == 1


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("600000,2016-06-31,0.5,0,0,0", "“2016-06-31” is not a date like 2024-05-31."),
        ("600000,1016-06-23,0.5,0,0,0", "“1016-06-23” is not a date like 2024-05-31."),
        ("600000,2016-06-23,-0.5,0,0,0", "cash_per_share “-0.5” is not a number of at least 0."),
        ("600000,2016-06-23,nan,0,0,0", "cash_per_share “nan” is not a number of at least 0."),
        ("600000,2016-06-23,,0,0,0", "cash_per_share “” is not a number of at least 0."),
        ("600000,2016-06-23,0,0,3,4.5", "rights_per_share is 3, more than any company ever gave."),
        ("600000,2016-06-23,0,0,0,0", "All numbers are 0"),
        ("600000,2016-06-23,0.5,0,0", "too few or too many fields"),
        ("600000,2016-06-23,0.5,0,0,0,7", "too few or too many fields"),
        ("900901,2016-06-23,0.5,0,0,0", "is a B-share"),
        ("600000,2015-06-23,0.6,0,0,0", "600000.SH has another action on 2015-06-23 in line 2."),
    ],
)
def test_a_row_that_cannot_be_right_is_named_by_its_line(tmp_path: Path, row: str, problem: str) -> None:
    path = written(tmp_path, "600000,2015-06-23,0.757,0,0,0", row)

    message = refusal(path)

    assert message.startswith(f"{path}, line 3: ")
    assert problem in message
    assert message.endswith("Nothing was stored.")


def test_a_file_without_the_columns_is_told_which_are_missing(tmp_path: Path) -> None:
    message = refusal(written(tmp_path, header="symbol,ex_date,cash_per_share"))

    assert "has no column new_shares_per_share, rights_per_share, rights_price" in message
    assert HEADER in message


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    assert "cannot be read (No such file or directory)" in refusal(tmp_path / "missing.csv")


def test_a_folder_is_a_sentence(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path)


def test_a_file_in_another_encoding_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "gbk.csv"
    path.write_bytes(f"{HEADER},备注\n".encode("gbk"))

    assert "is not a CSV file in UTF-8" in refusal(path)


def test_a_gbbq_file_is_recognised_and_the_reason_given(tmp_path: Path) -> None:
    path = tmp_path / "gbbq"
    path.write_bytes(struct.pack("<I", 2) + bytes(range(58)))

    message = refusal(path)

    assert "gbbq" in message
    assert "encrypted" in message
    assert HEADER in message


def test_the_whole_markets_table_is_read(real_data: Path) -> None:
    actions = read_actions(real_data / "corporate_actions_to_2021.csv")

    assert len(actions) == 37_870
    assert len({each.symbol for each in actions}) == 4_284
