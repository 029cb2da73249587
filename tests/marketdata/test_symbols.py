from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.exceptions import BadSymbol
from marketdata.symbols import Board, board_of, parse_symbol, parse_symbols, vendor_symbol

CODES = st.builds(
    "{}{:04d}".format,
    st.sampled_from(["60", "68", "00", "30", "43", "83", "87", "88", "92"]),
    st.integers(0, 9999),
)


@pytest.mark.parametrize(
    "written",
    [
        "600519",
        "600519.SH",
        "600519.sh",
        "sh600519",
        "SH600519",
        "sh.600519",
        "SHSE.600519",
        "600519.XSHG",
        "600519.SS",
        "600519SH",
        "  600519 . SH ",
        "６００５１９．ＳＨ",
        "600519。SH",
        "ｓｈ６００５１９",
    ],
)
def test_every_common_way_to_write_a_stock_is_understood(written: str) -> None:
    assert parse_symbol(written) == "600519.SH"


@pytest.mark.parametrize(
    ("code", "symbol"),
    [
        ("600000", "600000.SH"),
        ("688981", "688981.SH"),
        ("000001", "000001.SZ"),
        ("003816", "003816.SZ"),
        ("301000", "301000.SZ"),
        ("430047", "430047.BJ"),
        ("832000", "832000.BJ"),
        ("871981", "871981.BJ"),
        ("920002", "920002.BJ"),
    ],
)
def test_a_bare_code_belongs_to_the_exchange_that_lists_it(code: str, symbol: str) -> None:
    assert parse_symbol(code) == symbol


@pytest.mark.parametrize("index", ["sh000001", "000300.SH", "sz399001", "399006", "bj899050", "SH999999", "sh880001"])
def test_an_index_is_refused_as_an_index(index: str) -> None:
    with pytest.raises(BadSymbol) as caught:
        parse_symbol(index)
    assert "index" in caught.value.text.msgid
    assert caught.value.text.values["symbol"] == index


@pytest.mark.parametrize("b_share", ["900901", "sh900901", "200002", "200002.SZ", "201872"])
def test_a_b_share_is_refused_as_a_b_share(b_share: str) -> None:
    with pytest.raises(BadSymbol) as caught:
        parse_symbol(b_share)
    assert "B-share" in caught.value.text.msgid


@pytest.mark.parametrize(
    ("written", "canonical"),
    [("600519.SZ", "600519.SH"), ("sh300750", "300750.SZ"), ("bj600000", "600000.SH"), ("920002.SH", "920002.BJ")],
)
def test_an_exchange_that_contradicts_the_code_is_refused_and_the_right_one_named(written: str, canonical: str) -> None:
    with pytest.raises(BadSymbol) as caught:
        parse_symbol(written)
    assert caught.value.text.values["canonical"] == canonical


@pytest.mark.parametrize("written", ["510300", "sz159915", "110059.SH", "128013", "010107", "204001", "800001"])
def test_funds_bonds_and_other_codes_are_refused_as_no_a_share(written: str) -> None:
    with pytest.raises(BadSymbol) as caught:
        parse_symbol(written)
    assert "not the code of an A-share" in caught.value.text.msgid


@pytest.mark.parametrize(
    "written",
    ["", " ", "abc", "60051", "6005190", "600519.HK", "sh600519.SH", "60051９9", "贵州茅台", "600519\x00", "-600519"],
)
def test_what_is_no_symbol_is_refused_as_it_was_written(written: str) -> None:
    with pytest.raises(BadSymbol) as caught:
        parse_symbol(written)
    assert caught.value.text.values["symbol"] == written.strip()
    assert caught.value.code == "bad_symbol"


@given(CODES)
def test_a_canonical_symbol_is_its_own_canonical_form_and_survives_every_vendor(code: str) -> None:
    symbol = parse_symbol(code) if not code.startswith(("899",)) else "600519.SH"
    assert parse_symbol(symbol) == symbol
    for style in ("sh600519", "SH600519", "sh.600519", "600519", "600519.XSHG"):
        assert parse_symbol(vendor_symbol(symbol, style)) == symbol


@given(st.text(max_size=12))
def test_any_other_text_is_an_explained_error(text: str) -> None:
    try:
        symbol = parse_symbol(text)
    except BadSymbol:
        return
    assert parse_symbol(symbol) == symbol


@pytest.mark.parametrize(
    "written",
    [
        "600519,000001",
        "600519 000001",
        "600519，000001",
        "600519、000001；600519",
        "sh600519\n000001.SZ\n",
        ",600519,,000001",
    ],
)
def test_a_text_of_symbols_is_split_and_each_is_taken_once(written: str) -> None:
    assert parse_symbols(written) == ["600519.SH", "000001.SZ"]


def test_a_list_of_symbols_keeps_its_order() -> None:
    assert parse_symbols(["000001", "sh600519", "000001.SZ"]) == ["000001.SZ", "600519.SH"]


def test_no_symbols_are_an_empty_list() -> None:
    assert parse_symbols(" , ") == parse_symbols([]) == []


def test_one_wrong_symbol_among_many_is_named() -> None:
    with pytest.raises(BadSymbol) as caught:
        parse_symbols("600519,nonsense")
    assert caught.value.text.values["symbol"] == "nonsense"


@pytest.mark.parametrize(
    ("symbol", "board"),
    [
        ("600519.SH", Board.MAIN),
        ("002594.SZ", Board.MAIN),
        ("688981.SH", Board.STAR),
        ("689009.SH", Board.STAR),
        ("300750.SZ", Board.CHINEXT),
        ("301000.SZ", Board.CHINEXT),
        ("920002.BJ", Board.BEIJING),
        ("430047.BJ", Board.BEIJING),
    ],
)
def test_the_board_follows_from_the_symbol(symbol: str, board: Board) -> None:
    assert board_of(symbol) is board


def test_a_style_that_no_vendor_uses_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="600519:SH"):
        vendor_symbol("600519.SH", "600519:SH")
