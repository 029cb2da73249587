"""Sentences that are put into words when they are read."""

from __future__ import annotations

import json

import pytest
from django.utils import translation

from marketdata.texts import Text, counted, sentence, sentences, word


def stocks(number: int) -> Text:
    return Text("Done: %(stocks)s.", {"stocks": counted(number, "%(count)s stock", "%(count)s stocks")})


@pytest.mark.parametrize(
    ("number", "words"), [(0, "Done: 0 stocks."), (1, "Done: 1 stock."), (5400, "Done: 5,400 stocks.")]
)
def test_what_is_counted_is_in_the_singular_or_the_plural(number: int, words: str) -> None:
    assert str(stocks(number)) == words


def test_a_language_without_a_plural_has_one_form() -> None:
    with translation.override("zh-hans"):
        assert str(Text("%(stocks)s", {"stocks": stocks(1).values["stocks"]})) == "1 只股票"


def test_a_text_survives_being_stored_as_json() -> None:
    text = stocks(1)
    kept = json.loads(json.dumps(text.values))
    assert str(Text(text.msgid, kept)) == str(text)


def test_texts_may_be_parts_of_others() -> None:
    whole = Text("%(parts)s (%(kind)s)", {"parts": sentences([stocks(1), stocks(2)]), "kind": word("full import")})
    assert str(whole) == "Done: 1 stock. Done: 2 stocks. (full import)"
    assert str(Text("So: %(it)s", {"it": sentence(stocks(1))})) == "So: Done: 1 stock."
