"""Message catalogues at run time: compiled when they are older than their source.

No gettext package is needed on the machine: Babel reads ``.po`` and writes ``.mo``. How they are extracted and
checked is in ``catalogues.py``.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path

LOCALE_DIR = Path(__file__).resolve().parent.parent / "locale"


def compile_stale_catalogues(locale_dir: Path = LOCALE_DIR) -> list[Path]:
    """Compile each ``.po`` below ``locale_dir`` whose ``.mo`` is missing or older; return what was written.

    A folder that this user may not write is left as it is: its owner compiles at the next start, until then texts
    are in English or from the version before.
    """
    written = []
    for po_path in sorted(locale_dir.glob("*/LC_MESSAGES/*.po")):
        mo_path = po_path.with_suffix(".mo")
        if mo_path.exists() and mo_path.stat().st_mtime >= po_path.stat().st_mtime:
            continue
        if not os.access(mo_path.parent, os.W_OK):
            continue
        _compile(po_path, mo_path)
        written.append(mo_path)
    return written


def _compile(po_path: Path, mo_path: Path) -> None:
    # Babel is imported only when there is something to compile: it costs 0.1 s.
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    with po_path.open("rb") as source:
        catalogue = read_po(source, locale=po_path.parent.parent.name)
    # Several processes may start at once: each writes a file of its own and renames it into place.
    temporary = mo_path.with_name(f".{uuid.uuid4().hex}.mo")
    try:
        with temporary.open("xb") as target:
            write_mo(target, catalogue)
        temporary.replace(mo_path)
    finally:
        temporary.unlink(missing_ok=True)
