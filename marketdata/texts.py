"""Sentences that are made when they are read: a template and its values, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext


@dataclass(frozen=True)
class Text:
    """A sentence as it is stored: ``msgid`` (English, ``%(name)s`` placeholders) and JSON-able ``values``.

    ``str()`` renders it in the language that is active now.
    """

    msgid: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return gettext(self.msgid) % dict(self.values) if self.msgid else ""


class ExplainedError(Exception):
    """Base of our errors: one sentence for the user, with the identifiers and what to do.

    Raise with a msgid marked by ``gettext_noop`` and its values; ``code`` never changes between versions.
    """

    code = "error"
    default_msgid = ""

    def __init__(self, msgid: str = "", /, **values: Any) -> None:
        self.text = Text(msgid or self.default_msgid, values)
        super().__init__(self.text.msgid, values)

    def __str__(self) -> str:
        return str(self.text)
