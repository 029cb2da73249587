"""How pages write numbers, durations, times and phrases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone, translation

from marketdata.templatetags.barvault import about, ago, clock, duration, number, phrase, rate, size


@pytest.mark.parametrize(("value", "words"), [(None, ""), (0, "0"), (5214880, "5,214,880"), (1.5, "2")])
def test_whole_numbers_have_separators(value: float | None, words: str) -> None:
    assert number(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, ""), (0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (552_000_000, "552 MB"), (5e15, "5,000 TB")],
)
def test_bytes_have_a_unit(value: int | None, words: str) -> None:
    assert size(value) == words


@pytest.mark.parametrize(("value", "words"), [(None, ""), (4.94, "4.9"), (1234.5, "1,234")])
def test_a_rate_is_as_exact_as_it_is_small(value: float | None, words: str) -> None:
    assert rate(value) == words


def test_a_duration_is_in_the_language_of_the_page() -> None:
    assert duration(None) == ""
    assert duration(700) == "11 min 40 s"
    with translation.override("zh-hans"):
        assert duration(700) == "11 分 40 秒"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, ""), (0.2, "1 s"), (95, "1 min 35 s"), (120, "2 min"), (2508, "42 min"), (7300, "2 h 1 min")],
)
def test_an_estimate_is_no_finer_than_estimates_are(seconds: float | None, words: str) -> None:
    assert about(seconds) == words


def test_a_moment_is_in_exchange_time_with_the_whole_of_it_on_hover() -> None:
    written = clock(datetime(2024, 12, 25, 4, 5, 6, tzinfo=UTC))
    assert written == ('<time datetime="2024-12-25T12:05:06+08:00" title="2024-12-25 12:05:06">2024-12-25 12:05</time>')
    assert clock(None) == ""


def test_how_long_ago_a_moment_was_is_said() -> None:
    assert ago(None) == ""
    assert ">just now<" in ago(timezone.now())
    assert ">2 min ago<" in ago(timezone.now() - timedelta(seconds=130))


def test_a_phrase_begins_with_a_capital_and_breaks_no_date() -> None:
    assert phrase("from 2021-01-01 to 2024-12-25") == (
        'From <span class="unbroken">2021-01-01</span> to <span class="unbroken">2024-12-25</span>'
    )


def test_a_phrase_is_escaped() -> None:
    assert phrase("a <b> 2021-01-01 & c") == 'A &lt;b&gt; <span class="unbroken">2021-01-01</span> &amp; c'
