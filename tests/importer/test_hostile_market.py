"""Two clusters import 500 stocks while Eastmoney bans, Sina refuses every third request and Tencent is slow.

Nothing here looks at the clock: that no two requests come too close, and that none is wasted, is judged by the slots
that the workers were given and by the door's list of requests. How long it takes is a figure of ``benchmarks``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from tests.importer import chaos
from tests.importer.processes import Installation, wait_until
from tests.sources.slots_given import most_in_a_window, shortest_gap, slots_in
from tests.sources.standin import StandIn, running_standin

pytestmark = pytest.mark.slow

# Of these 500 and some are listed by then.
LISTED, STOCKS = 1000, 500
# Two machines, as far as the database can tell.
HOSTS, WORKERS_EACH = ("shanghai", "shenzhen"), 2
WORKERS = len(HOSTS) * WORKERS_EACH
# Few bars, and a quick pace: what is tried is who is asked, and when.
START, UNTIL = date(2019, 11, 25), date(2019, 12, 31)
SHORTEST, LONGEST = 0.01, 0.02
MEAN = (SHORTEST + LONGEST) / 2
BAN_AFTER = 100
EASTMONEY = "push2his.eastmoney.com"


@dataclass(frozen=True)
class Run:
    """An import that has ended: what is stored, who came to the door, and which slots were given."""

    installation: Installation
    standin: StandIn
    logs: list[Path]  # of each cluster

    def slots(self, source: str) -> list[float]:
        return slots_in(self.logs, source)

    def rows(self, statement: str) -> list[tuple]:
        return self.installation.sql(statement)

    def sources(self) -> dict[str, str]:
        """Return which source each stock's bars are from; a stock with bars of several has them all."""
        found = self.rows(
            "SELECT s.symbol, b.source FROM marketdata_bar b JOIN marketdata_stock s ON s.id = b.stock_id "
            "GROUP BY s.symbol, b.source"
        )
        assert len({symbol for symbol, _ in found}) == len(found), "a stock has bars of two sources"
        return dict(found)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Iterator[Run]:
    with running_standin(tmp_path_factory.mktemp("standin"), stocks=LISTED, until=UNTIL) as standin:
        installation = Installation(tmp_path_factory.mktemp("hostile") / "var")
        installation.migrate(migrated_file)
        installation.environment = {
            **standin.environment(),
            "BARVAULT_SOURCE": "auto",
            "BARVAULT_AUTO_ORDER": "eastmoney,sina,tencent",
            "BARVAULT_PACE_MIN": str(SHORTEST),
            "BARVAULT_PACE_MAX": str(LONGEST),
            "BARVAULT_LOG_LEVEL": "DEBUG",
        }
        standin.fault("reset", host=EASTMONEY, after=BAN_AFTER)
        standin.fault("403", host="sina", every=3)
        standin.fault("slow", host="tencent", seconds=0.5)
        try:
            clusters = [
                installation.start("qcluster", "--workers", str(WORKERS_EACH), BARVAULT_HOST_NAME=name)
                for name in HOSTS
            ]
            wait_until(lambda: _live_hosts(installation) == len(HOSTS), "both clusters are there")
            chaos.ask_for_import(installation, "--start", START.isoformat(), "--end", UNTIL.isoformat())
            chaos.wait_for_end(installation)
            wait_until(lambda: not installation.processes("busy"), "the lanes have ended")
        finally:
            installation.stop()
        yield Run(installation, standin, [cluster.log for cluster in clusters])


def _live_hosts(installation: Installation) -> int:
    return int(installation.sql("SELECT COUNT(*) FROM importer_host WHERE workers > 0")[0][0])


def expected_stocks(standin: StandIn) -> set[str]:
    return {symbol for symbol in standin.market.symbols() if standin.market.bars(symbol, START, UNTIL)}


def test_every_stock_is_there_and_none_failed(run: Run) -> None:
    status, total, failed = run.rows("SELECT status, total, failed FROM importer_importtask")[0]
    assert (status, failed) == ("completed", 0)
    assert total >= STOCKS
    assert set(run.sources()) == expected_stocks(run.standin)
    assert run.rows("SELECT COUNT(*) FROM importer_failure WHERE NOT finding")[0][0] == 0


def test_each_bar_is_the_true_one_and_says_who_sent_it(run: Run) -> None:
    asked = {name: Counter(each.symbol for each in run.standin.arrivals(name)) for name in ("sina", "tencent")}
    asked["eastmoney"] = Counter(each.symbol for each in run.standin.arrivals(EASTMONEY)[:BAN_AFTER])
    sources = run.sources()
    assert Counter(sources.values())["eastmoney"] <= BAN_AFTER
    assert set(sources.values()) >= {"eastmoney", "sina"}
    stored: dict[str, list[tuple]] = {}
    for symbol, *row in run.rows(
        "SELECT s.symbol, b.date, b.close, b.volume FROM marketdata_bar b "
        "JOIN marketdata_stock s ON s.id = b.stock_id ORDER BY s.symbol, b.date"
    ):
        stored.setdefault(symbol, []).append(tuple(row))
    for symbol, source in sources.items():
        lot = 100 if source == "eastmoney" else 1
        bars = run.standin.market.bars(symbol, START, UNTIL)
        true = [(bar.day.isoformat(), bar.close / 100, bar.volume // lot * lot) for bar in bars]
        assert stored[symbol] == true, f"{symbol} from {source}"
        assert asked[source][symbol], f"{symbol} is from {source}, which was never asked for it"


def test_both_clusters_took_part(run: Run) -> None:
    shares = [len(slots_in([log], "sina")) for log in run.logs]
    assert min(shares) > sum(shares) / 10


@pytest.mark.parametrize("source", ["eastmoney", "sina"])
def test_no_two_slots_are_closer_than_the_floor(run: Run, source: str) -> None:
    assert shortest_gap(run.slots(source)) >= SHORTEST - 1e-5


@pytest.mark.parametrize("source", ["eastmoney", "sina", "exchanges", "datacenter"])
def test_no_window_of_ten_seconds_has_more_slots_than_the_mean_pace_allows_plus_one(run: Run, source: str) -> None:
    assert most_in_a_window(run.slots(source), 10.0) <= 10 / MEAN + 1


@pytest.mark.parametrize("source", ["eastmoney", "sina", "tencent"])
def test_each_request_had_a_slot_of_its_own_and_did_not_come_before_it(run: Run, source: str) -> None:
    slots = run.slots(source)
    host = EASTMONEY if source == "eastmoney" else source
    arrivals = [arrival.at for arrival in run.standin.arrivals(host)]
    assert len(arrivals) <= len(slots)
    # A machine without time to spare misses slots, which are then not used: the n-th request had the n-th or a later.
    assert all(arrival >= slot - 0.002 for arrival, slot in zip(arrivals, slots, strict=False))


def test_eastmoney_is_left_alone_once_it_bans(run: Run) -> None:
    # Five refusals, a few that were on their way, and a probe now and then.
    assert len(run.standin.arrivals(EASTMONEY)) <= BAN_AFTER + 5 + WORKERS + 5
    state = run.rows("SELECT breaker, refusals FROM importer_sourcestate WHERE source = 'eastmoney'")
    assert state[0][0] != "closed"


def test_few_requests_are_made_beyond_those_that_are_needed(run: Run) -> None:
    # Sina needs two requests for a stock; of three times two, of which each fails with a probability of a third, 3.1
    # are sent in the mean.
    stocks = sum(source != "eastmoney" for source in run.sources().values())
    assert len(run.standin.arrivals("sina")) <= 1.3 * 3.1 * stocks
