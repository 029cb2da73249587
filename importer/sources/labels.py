"""What users call a source, beside the short name that is stored. Translated where it is shown."""

from __future__ import annotations

from django.utils.translation import gettext_noop

_LABELS = {
    "auto": gettext_noop("automatic"),
    "eastmoney": gettext_noop("Eastmoney"),
    "sina": gettext_noop("Sina"),
    "tencent": gettext_noop("Tencent"),
    "baostock": gettext_noop("Baostock"),
    "tdxquotes": gettext_noop("TDX quote service"),
    "tdx": gettext_noop("TDX files"),
    "files": gettext_noop("Files"),
    "simulated": gettext_noop("Simulated market"),
    # Not sources of bars, but paced and rested like them: the exchanges' own lists of stocks, and corporate actions.
    "exchanges": gettext_noop("The exchanges' stock lists"),
    "datacenter": gettext_noop("Eastmoney's data centre"),
}


def label_of(source: str) -> str:
    """Return the msgid that names ``source`` to users; its own name where there is none."""
    return _LABELS.get(source, source)
