"""A sample of stored bars against what a site sends through AKShare and the gate."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from importer.bar_sample import compare_stocks, sample_sources
from importer.models import Kind
from importer.task_requests import build_request
from marketdata.models import Stock
from marketdata.store import ensure_stocks, store_bars
from tests.marketdata.real_bars import day_bars
from tests.sources.standin import StandIn, running_standin

NEWEST = date(2025, 8, 5)


@pytest.fixture
def real_standin(standin: StandIn, real_data: Path, tmp_path: Path) -> Iterator[StandIn]:
    with running_standin(tmp_path, real=real_data) as real, real.redirected():
        yield real


def test_real_bars_of_files_agree_with_those_of_a_site_and_one_that_was_changed_does_not(
    real_standin: StandIn, real_data: Path
) -> None:
    frame = day_bars(real_data / "vipdoc/sh/lday/sh600000.day")
    frame.loc[len(frame) - 3, "close"] += 0.02
    stock_id = ensure_stocks(["600000.SH"])["600000.SH"]
    store_bars(stock_id, frame, source="tdx", simulated=False, covered=None)
    request = build_request(Kind.REPAIR, end=NEWEST)

    stocks = list(Stock.objects.all())
    (compared,) = compare_stocks(request, stocks, sample_sources("eastmoney"), today=NEWEST)

    assert (compared.problem, compared.days) == (None, 243)
    (finding,) = compared.findings
    assert finding.day == date(2025, 8, 1)
    assert str(finding.values).startswith("close ")
