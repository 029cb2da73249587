"""Keep the parts of a receiver's address out of what is shown, stored or logged. Pure; needs no Django."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote_plus, urlsplit

STARS = "****"
# Shorter parts (a port, "v1") tell nothing, and replacing them would spoil the sentence.
_SHORTEST = 4
_MAIL = re.compile(r"[\w.+%-]+@[\w-]+(\.[\w-]+)*")
_LONGEST = 400


def scheme_of(url: str) -> str:
    """Return the kind of address, e.g. ``mailtos``: all of it that may be shown. A text without one is a bare key."""
    scheme, colon, _rest = url.partition("://")
    scheme = scheme.strip().lower()
    return scheme if colon and re.fullmatch(r"[a-z0-9+.-]{1,20}", scheme) else "?"


def masked(text: str, url: str) -> str:
    """Return ``text`` on one line, not too long, with every part of ``url`` and every mail address starred."""
    for part in sorted(_parts(url), key=len, reverse=True):
        text = re.sub(re.escape(part), STARS, text, flags=re.IGNORECASE)
    text = _MAIL.sub(STARS, text)
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _parts(url: str) -> set[str]:
    """Return what an address consists of, as written and decoded, apart from its scheme and short parts."""
    found = {url, url.partition("://")[2]}
    try:
        split = urlsplit(url)
        found |= {split.netloc, split.path.strip("/"), split.query, split.hostname or ""}
        # A short password is a secret, too; a short user name is a word.
        password = split.password or ""
        found |= {split.username or ""}
    except ValueError:
        password = ""
    found |= set(re.split(r"[/?&=@:#,]", url.partition("://")[2]))
    found |= {value for _name, value in parse_qsl(url.partition("?")[2])}
    found |= {unquote_plus(part) for part in found}
    kept = {part for part in found if len(part) >= _SHORTEST and not part.isdigit()}
    if len(password) > 1:
        kept |= {password, unquote_plus(password)}
    # Long numbers are identifiers; a port is none.
    return kept | {part for part in found if part.isdigit() and len(part) > 5}
