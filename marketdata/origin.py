"""Whether this database holds the real market or a simulated one: the first writer decides, and it stays so."""

from __future__ import annotations

from django.db import connection, transaction
from django.utils.translation import gettext_noop

from marketdata import queries
from marketdata.exceptions import MixedOrigins
from marketdata.models import Origin

_REAL_STORED = gettext_noop(
    "This database holds the real market; simulated data are not stored beside it. "
    "Use BARVAULT_DEMO=1 for the simulated market, or another database (DATABASE_URL)."
)
_SIMULATED_STORED = gettext_noop(
    "This database holds a simulated market; real data are not stored beside it. "
    "Use another database (DATABASE_URL) for the real market."
)


def current_origin() -> str | None:
    """Return Origin.REAL or Origin.SIMULATED; None while nothing has been stored."""
    with connection.cursor() as cursor:
        cursor.execute(queries.READ_ORIGIN)
        row = cursor.fetchone()
    return row[0] if row else None


def claim_origin(simulated: bool) -> None:
    """Make this database one for the simulated (or the real) market, or make sure that it is.

    Of several processes that claim an empty database at once, one wins. The claim belongs to the transaction that
    is open. Raises MixedOrigins when the database holds the other kind.
    """
    stored = current_origin()
    if stored is None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(queries.CLAIM_ORIGIN, (kind_of(simulated),))
        stored = current_origin()
    check_origin(stored, simulated)


def kind_of(simulated: bool) -> str:
    return Origin.SIMULATED if simulated else Origin.REAL


def check_origin(stored: str | None, simulated: bool) -> None:
    """Raise MixedOrigins when ``stored`` is not the kind that is offered."""
    offered = kind_of(simulated)
    if stored != offered:
        msgid = _SIMULATED_STORED if stored == Origin.SIMULATED else _REAL_STORED
        raise MixedOrigins(msgid, stored=stored, offered=offered)
