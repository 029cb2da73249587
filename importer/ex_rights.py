"""Ex-rights in a snapshot: a previous close that is not the stored one, and whether a known action explains it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from django.utils.translation import gettext_noop

from importer.models import Failure, ImportTask
from importer.snapshot_rows import DayTable, follows
from marketdata.actions import ListedAction, save_actions
from marketdata.adjustment import Action, ImpossibleAction, round_half_up, theoretical_ex_price
from marketdata.models import CorporateAction
from marketdata.store import Standing
from marketdata.texts import Text

# The exchange rounds to a tick; a company's own shares get no dividend, which moves the reference a little.
TICK, SHARE = 0.011, 0.001

_UNKNOWN = gettext_noop(
    "%(symbol)s: ex-right without a known action on %(day)s: the exchange's previous close is %(prev_close)s yuan, "
    "the last close was %(close)s. Adjusted prices follow the exchange until the action is known; import it "
    "(import_actions) if no source has it."
)
_DIFFERS = gettext_noop(
    "%(symbol)s: the corporate action of %(day)s does not explain the exchange's previous close of %(prev_close)s yuan "
    "after a close of %(close)s. Adjusted prices before it may be off."
)


@dataclass(frozen=True)
class ExRights:
    """``explained``: by a known action. ``open``: not so, with the exchange's previous close in yuan; their stocks
    are asked for by themselves first. ``quiet``: with an action for the day, but the price did not go ex."""

    explained: Mapping[str, float]
    open: Mapping[str, float]
    quiet: Mapping[str, float]


def find_ex_rights(table: DayTable, standings: Mapping[str, Standing], day: date) -> ExRights:
    """Return the ex-rights of the stocks that are known up to the trading day before ``day``."""
    rows = [row for row in table.traded() if row.symbol in standings and row.symbol not in table.doubtful]
    moved = [row for row in rows if not follows(row, standings[row.symbol])]
    actions = actions_between(standings, day)
    explained, still_open = {}, {}
    for row in moved:
        standing = standings[row.symbol]
        if explains(actions.get(row.symbol, ()), standing.close, row.prev_close):
            explained[row.symbol] = row.prev_close
        else:
            still_open[row.symbol] = row.prev_close
    quiet = {
        row.symbol: row.prev_close
        for row in rows
        if row.symbol not in explained
        and row.symbol not in still_open
        and any(action.ex_date == day for action in actions.get(row.symbol, ()))
    }
    return ExRights(explained, still_open, quiet)


def explains(actions: Iterable[Action], close: float, prev_close: float) -> bool:
    """Say whether the actions, one after the other, make ``prev_close`` of the last close (yuan)."""
    price, found = close, False
    for action in sorted(actions, key=lambda each: each.ex_date):
        if action.is_empty:
            continue
        found = True
        try:
            price = theoretical_ex_price(price, action)
        except ImpossibleAction:
            return False
    return found and abs(round_half_up(price) - prev_close) <= max(TICK, SHARE * prev_close)


def note_previous_closes(ex_rights: ExRights, day: date, *, source_of: Callable[[str], str], simulated: bool) -> None:
    """Keep the exchange's previous close with the actions of ``day``, as their proof."""
    published = {**ex_rights.explained, **ex_rights.quiet}
    with_action = CorporateAction.objects.filter(ex_date=day).values_list("stock__symbol", flat=True)
    known: dict[str, list[ListedAction]] = defaultdict(list)
    for symbol in with_action:
        if symbol in published:
            known[source_of(symbol)].append(ListedAction(symbol, Action(day, previous_close=published[symbol])))
    for source, actions in known.items():
        save_actions(actions, source=source, simulated=simulated)


def note_open(
    task: ImportTask, symbol: str, *, day: date, prev_close: float, close: float, source: str, simulated: bool
) -> Failure:
    """Keep the previous close of an ex-right that nothing explains, and return the (unsaved) finding about it.

    Call it when the stock's own history has confirmed the stored ``close``; else a wrong bar would pass for one.
    """
    facts = CorporateAction.objects.filter(stock__symbol=symbol, ex_date=day)
    has_facts = any(not action_of(row).is_empty for row in facts)
    save_actions([ListedAction(symbol, Action(day, previous_close=prev_close))], source=source, simulated=simulated)
    values = {"symbol": symbol, "day": day.isoformat(), "prev_close": f"{prev_close:g}", "close": f"{close:g}"}
    text = Text(_DIFFERS if has_facts else _UNKNOWN, values)
    return Failure(
        task=task,
        symbol=symbol,
        source=source,
        code="ex_right_differs" if has_facts else "ex_right_unknown",
        reason_id=text.msgid,
        reason_values=dict(text.values),
        finding=True,
    )


def actions_between(standings: Mapping[str, Standing], day: date) -> dict[str, list[Action]]:
    """Return by symbol the actions with ex-dates after the newest bar, up to ``day``."""
    oldest = min((each.last_bar for each in standings.values()), default=day)
    rows: Sequence[CorporateAction] = list(
        CorporateAction.objects.filter(ex_date__gt=oldest, ex_date__lte=day).select_related("stock")
    )
    found: dict[str, list[Action]] = defaultdict(list)
    for row in rows:
        standing = standings.get(row.stock.symbol)
        if standing is not None and row.ex_date > standing.last_bar:
            found[row.stock.symbol].append(action_of(row))
    return found


def action_of(row: CorporateAction) -> Action:
    return Action(
        row.ex_date,
        row.cash_per_share,
        row.new_shares_per_share,
        row.rights_per_share,
        row.rights_price,
        row.previous_close,
    )
