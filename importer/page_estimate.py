"""What the form of the data page would start, and what that would take: shown before anybody presses a button."""

from __future__ import annotations

from dataclasses import dataclass

from importer.estimate import Estimate, estimate
from importer.models import ACTIVE, ImportTask, Kind
from importer.page_forms import ImportForm
from marketdata.models import Stock
from marketdata.texts import ExplainedError


@dataclass(frozen=True)
class Planned:
    """What a press would start: its estimate, or the sentence that says why it cannot be, or the task that is it."""

    kind: str
    estimate: Estimate | None = None
    problem: str = ""
    existing: ImportTask | None = None


def can_update() -> bool:
    """Say whether there is anything that an update could go on from."""
    return Stock.objects.filter(bar_count__gt=0).exists()


def planned(form: ImportForm) -> list[Planned]:
    """Return what both buttons would start; an update only where there is something to update."""
    kinds = [Kind.IMPORT]
    if can_update():
        kinds.append(Kind.UPDATE)
    found = [_planned(form, kind) for kind in kinds]
    if found[0].existing is not None:
        # What an import fetches is not missing to an update: that there is nothing to do would mislead.
        found = [each for each in found if each.estimate is None or each.estimate.stocks]
    if len(found) > 1 and found[0].problem == found[1].problem:
        return found[:1] if found[0].problem else found
    return found


def _planned(form: ImportForm, kind: Kind) -> Planned:
    try:
        request = form.request(kind)
        existing = ImportTask.objects.filter(fingerprint=request.fingerprint(), status__in=ACTIVE).first()
        if existing is not None:
            return Planned(kind, existing=existing)
        return Planned(kind, estimate=estimate(request))
    except ExplainedError as error:
        return Planned(kind, problem=str(error))
