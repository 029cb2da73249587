"""What went wrong with a stock, in words; light to import: the notifier says it, too."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from importer.sources.reasons import REASONS
from marketdata.texts import Text

_CODES = {
    **REASONS,
    "banned": gettext_noop("the source refused"),
    "source_unavailable": gettext_noop("the source did not answer"),
    "no_source": gettext_noop("no source could give it"),
    "bad_data": gettext_noop("the answer cannot be right"),
    "empty_answer": gettext_noop("nothing was sent"),
    "unknown_symbol": gettext_noop("unknown stock"),
    "lane_died": gettext_noop("a worker process died"),
    "mixed_origins": gettext_noop("simulated and real bars do not mix"),
    "differs": gettext_noop("a source and the database disagree"),
    "gap": gettext_noop("bars may be missing"),
    "unexpected": gettext_noop("unexpected error"),
}


def code_text(code: str) -> Text:
    """Return a failure's code in words; the code itself where there are none."""
    return Text(_CODES.get(code, code.replace("_", " ").replace("%", "%%")))
