"""Get corporate actions from a source that knows them, and store them. What cannot be had fails no import."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date

from django.utils.translation import gettext_noop

from importer.rights_dates import without_moved
from importer.sources.base import ActionSource, Banned, Source, SourceError
from importer.sources.labels import label_of
from importer.sources.registry import in_registry_order
from marketdata.actions import save_actions
from marketdata.texts import Text, sentence, word

logger = logging.getLogger(__name__)

ATTEMPTS = 2

_NOT_HAD = gettext_noop(
    "The corporate actions from %(source)s are not to be had: %(reason)s Prices stay as they are stored; adjusted "
    "ones may lack an ex-date until the next update gets them."
)


def action_sources(sources: Sequence[Source], symbols: Sequence[str] | None) -> list[ActionSource]:
    """Return the sources that know the corporate actions of these stocks (None: of all), best first.

    One that is asked stock by stock is for a few: ``most_action_stocks`` says for how many.
    """
    knowing = [source for source in sources if isinstance(source, ActionSource)]
    return [source for source in in_registry_order(knowing) if _is_for(source, symbols)]


def _is_for(source: ActionSource, symbols: Sequence[str] | None) -> bool:
    most: int | None = getattr(source, "most_action_stocks", None)
    return most is None or (symbols is not None and len(symbols) <= most)


def refresh_actions(
    sources: Sequence[Source], since: date, *, today: date, symbols: Sequence[str] | None = None
) -> Text | None:
    """Store the actions with ex-dates from ``since`` on; return why they cannot be had, None when all is well.

    What the first source cannot give the next one is asked for; the first one's reason is returned when none can.
    The stocks have to be in the database. Raises StopRequested.
    """
    problems = []
    for source in action_sources(sources, symbols):
        problem = _refresh_from(source, since, today, symbols)
        if problem is None:
            return None
        problems.append(problem)
    return problems[0] if problems else None


def _refresh_from(source: ActionSource, since: date, today: date, symbols: Sequence[str] | None) -> Text | None:
    reason = Text("")
    for _attempt in range(ATTEMPTS):
        try:
            actions = source.market_actions(since, today=today, symbols=symbols)
        except SourceError as error:
            logger.warning("corporate actions from %s: %s", source.name, error)
            reason = error.text
            if isinstance(error, Banned):
                break
            continue
        result = save_actions(without_moved(actions), source=source.name, simulated=source.simulated)
        logger.info("corporate actions from %s: %s new, %s changed", source.name, result.added, result.changed)
        for conflict in result.conflicts:
            logger.warning("corporate actions of %s: %s", conflict.symbol, conflict)
        return None
    return Text(_NOT_HAD, {"source": word(label_of(source.name)), "reason": sentence(reason)})
