"""How a followed task is shown where the output is no terminal, and on one."""

from __future__ import annotations

import io

from django.core.management.base import OutputWrapper

from importer.management.display import MovingBar, PlainLines, Sight

WAITS = "Every source rests; next try at 12:05."


def test_a_line_that_would_only_be_repeated_is_left_out() -> None:
    out = io.StringIO()
    with PlainLines(OutputWrapper(out)) as lines:
        for state in ("running, waits", "running", "running, waits"):
            lines.show(Sight(1, state, WAITS))
    assert out.getvalue() == f"  1 %  {WAITS}\n"


def test_a_sentence_that_the_bar_cuts_off_stands_above_it_in_full() -> None:
    out = io.StringIO()
    sentence = f"{WAITS} Tencent did not answer (the name web.example cannot be found: is this machine online?)."
    with MovingBar(OutputWrapper(out)) as bar:
        bar.show(Sight(1, "running, waits", sentence))
        bar.show(Sight(1, "running, waits", sentence))
    assert out.getvalue().count(sentence) == 1


def test_a_sentence_that_the_bar_has_room_for_stands_nowhere_else() -> None:
    out = io.StringIO()
    with MovingBar(OutputWrapper(out)) as bar:
        bar.show(Sight(1, "running", "4 of 5,400"))
    assert "4 of 5,400\n" not in out.getvalue()
