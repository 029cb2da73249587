"""Words that only the pages need."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone, translation

from importer.failure_words import code_text
from importer.models import Action, Breaker, ImportTask, Kind, SourceState, Status
from importer.pacing import states
from importer.page_words import asker_text, source_lines, source_names_text, spoken_text, turn_text
from importer.sources.reasons import REASONS

pytestmark = pytest.mark.django_db


def asked(source: str = "sina", **values: Any) -> None:
    today = timezone.localdate()
    SourceState.objects.create(source=source, **{"counted_on": today, "requests_today": 12480, **values})


def words_of(*shown: str) -> list[tuple[str, list[str], str, str]]:
    return [
        (str(line.label), [str(words) for words in line.words], str(line.state), line.tone)
        for line in source_lines(shown, states())
    ]


class TestSources:
    def test_one_that_works_says_how_often_it_was_asked_and_how_fast(self) -> None:
        asked(interval=0.2)
        ((label, words, state, tone),) = words_of("sina")
        assert (label, state, tone) == ("Sina", "normal", "ok")
        assert words == ["12,480 requests today", "at most 5.0 per second"]

    def test_yesterday_s_requests_are_not_today_s(self) -> None:
        asked(counted_on=timezone.localdate() - timedelta(days=1))
        assert words_of("sina")[0][1] == ["no requests today"]

    @pytest.mark.parametrize(
        ("breaker", "state"), [(Breaker.OPEN, "resting"), (Breaker.HALF_OPEN, "being tried again")]
    )
    def test_one_that_refused_says_why(self, breaker: str, state: str) -> None:
        soon = timezone.now() + timedelta(seconds=20)
        asked(breaker=breaker, reason_id="It refused.", open_until=soon, probe_until=soon)
        assert words_of("sina")[0][1:3] == (["It refused."], state)

    def test_one_that_has_rested_is_tried_again_with_the_next_request(self) -> None:
        from importer import pacing
        from importer.sources.base import Banned

        pacing.report_trouble("sina", Banned(source="sina", detail="429", retry_after=600))
        SourceState.objects.update(open_until=timezone.now() - timedelta(seconds=1))
        ((_, words, state, _),) = words_of("sina")
        assert words[0] == "Sina asked to be left alone for a while; the next request tries it again"
        assert state == "to be tried again"

    def test_one_that_rests_has_what_it_said_last(self) -> None:
        from importer import pacing
        from importer.sources.base import Banned

        pacing.report_trouble("sina", Banned(source="Sina", detail="429", retry_after=600))
        assert words_of("sina")[0][1][1:] == ["Sina refuses requests from this address (429)."]

    def test_one_whose_probe_nobody_has_sent_is_not_being_tried(self) -> None:
        long_ago = timezone.now() - timedelta(minutes=5)
        asked(breaker=Breaker.HALF_OPEN, reason_id="It refused.", probe_until=long_ago)
        assert words_of("sina")[0][2] == "to be tried again"

    def test_one_that_was_never_asked_has_no_state(self) -> None:
        assert words_of("sina") == [("Sina", ["not asked yet"], "", "")]

    @pytest.mark.parametrize("name", ["simulated", "tdx", "files"])
    def test_one_without_a_pace_says_where_its_bars_come_from(self, name: str) -> None:
        assert "machine" in words_of(name)[0][1][0]

    def test_others_that_were_asked_follow_those_that_are_shown(self) -> None:
        asked("exchanges")
        assert [line[0] for line in words_of("sina", "eastmoney")] == [
            "Sina",
            "Eastmoney",
            "The exchanges' stock lists",
        ]


@pytest.mark.parametrize(
    ("position", "eta", "workers", "running", "words"),
    [
        (1, 694.0, 4, True, "its turn comes in about 11 min 34 s"),
        (1, None, 4, True, "its turn is next"),
        (1, None, 4, False, "its turn comes at once"),
        (2, 694.0, 4, True, None),
        (2, None, 0, False, "as soon as a worker is alive"),
    ],
)
def test_a_waiting_task_s_turn_is_told_where_it_is_known(
    position: int, eta: float | None, workers: int, running: bool, words: str | None
) -> None:
    said = turn_text(position, eta, workers=workers, running=running)
    assert (str(said) if said is not None else None) == words


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"status": Status.RUNNING, "progress": 37}, "full import: 30 percent"),
        ({"status": Status.RUNNING, "requested_action": Action.PAUSE}, "full import: running, is being paused"),
        ({"status": Status.PAUSED}, "full import: paused"),
        ({"status": Status.COMPLETED, "failed": 3}, "full import: completed, 3 failed"),
    ],
)
def test_a_screen_reader_is_told_the_state_or_the_coarse_percent(values: dict[str, Any], words: str) -> None:
    assert str(spoken_text(ImportTask(kind=Kind.IMPORT, **values))) == words


@pytest.mark.parametrize("code", ["banned", "lane_died", "no_source", *REASONS])
def test_the_code_of_a_failure_has_words_in_both_languages(code: str) -> None:
    english = str(code_text(code))
    assert english != code
    with translation.override("zh-hans"):
        assert not str(code_text(code)).isascii()


def test_an_unknown_code_is_shown_as_it_is() -> None:
    assert str(code_text("some_new_100%_code")) == "some new 100% code"


def test_sources_that_failed_together_are_named_by_their_labels() -> None:
    assert source_names_text("eastmoney, sina") == "Eastmoney, Sina"
    assert source_names_text("") == ""


@pytest.mark.parametrize(
    ("by", "words"),
    [("page: ada, 127.0.0.1", "页面（ada, 127.0.0.1）"), ("admin: ada", "管理（ada）"),
     ("schedule: update, every trading day", "定时任务（增量更新、每个交易日）"),
     ("schedule: update, 100% mine", "定时任务（update, 100% mine）"),
     ("api: token 1", "API（token 1）"), ("ada@home (manage.py)", "ada@home (manage.py)"), ("", "")],
)  # fmt: skip
def test_who_asked_is_told_with_the_way_in_words(by: str, words: str) -> None:
    with translation.override("zh-hans"):
        assert asker_text(by) == words
