from __future__ import annotations

import pytest

from benchmarks.__main__ import run_all
from benchmarks.figures import Benchmark, CannotMeasure, Figure, Run, interleaved, median_ratio, percentile


def ratio(value: float, comparison: str = ">=") -> Figure:
    return Figure("speed", value, "ratio", 0.6, comparison, "120 against 200 krows/s")


def bench(result) -> Benchmark:
    def function(run: Run):
        if isinstance(result, Exception):
            raise result
        return result

    return Benchmark("speed", "a subject", function)


@pytest.mark.parametrize(
    ("value", "comparison", "met"),
    [(0.6, ">=", True), (0.59, ">=", False), (0.6, "<=", True), (0.61, "<=", False)],
)
def test_a_bar_is_met_when_it_is_reached(value: float, comparison: str, met: bool) -> None:
    assert ratio(value, comparison).met is met


def test_a_missed_bar_is_named_and_fails_the_run(capsys) -> None:
    assert run_all([bench(ratio(0.7)), bench([ratio(0.5)])], rounds=1, quick=False) == 1
    printed = capsys.readouterr().out
    assert printed.count("MISSED") == 1
    assert "120 against 200 krows/s" in printed
    assert printed.endswith("benchmarks: 1 missed\n")


def test_a_quick_run_is_not_judged(capsys) -> None:
    assert run_all([bench(ratio(0.1))], rounds=1, quick=True) == 0
    assert "MISSED" not in capsys.readouterr().out


def test_what_cannot_be_measured_is_said_and_is_no_miss(capsys) -> None:
    assert run_all([bench(CannotMeasure("PostgreSQL does not answer."))], rounds=1, quick=False) == 0
    assert "not measured: PostgreSQL does not answer." in capsys.readouterr().out


def test_a_benchmark_that_breaks_fails_the_run_and_does_not_hide_the_others(capsys) -> None:
    assert run_all([bench(RuntimeError("broken")), bench(ratio(0.7))], rounds=1, quick=False) == 1
    printed = capsys.readouterr()
    assert "RuntimeError: broken" in printed.err
    assert "ok     speed" in printed.out


def test_each_round_runs_every_way_and_the_order_alternates() -> None:
    called: list[str] = []
    seconds = interleaved({"a": lambda: called.append("a"), "b": lambda: called.append("b")}, rounds=3)
    assert "".join(called) == "abbaab"
    assert [len(times) for times in seconds.values()] == [3, 3]


def test_a_warm_way_runs_once_more_before_each_time() -> None:
    called: list[str] = []
    seconds = interleaved({"a": lambda: called.append("a"), "b": lambda: called.append("b")}, rounds=1, warm=True)
    assert called == ["a", "a", "b", "b"]
    assert [len(each) for each in seconds.values()] == [1, 1]


def test_the_ratio_is_the_median_of_the_rounds() -> None:
    assert median_ratio([1.0, 8.0, 3.0], [2.0, 2.0, 3.0]) == 1.0


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    assert percentile(range(1, 101), share) == value
