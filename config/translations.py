"""Message catalogues: compiled when they are older than their source, extracted with Babel alone.

No gettext package is needed on the machine: Babel reads ``.po`` and writes ``.mo``.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import IO, Any

LOCALE_DIR = Path(__file__).resolve().parent.parent / "locale"


def compile_stale_catalogues(locale_dir: Path = LOCALE_DIR) -> list[Path]:
    """Compile each ``django.po`` below ``locale_dir`` whose ``.mo`` is missing or older; return what was written."""
    written = []
    for po_path in sorted(locale_dir.glob("*/LC_MESSAGES/*.po")):
        mo_path = po_path.with_suffix(".mo")
        if mo_path.exists() and mo_path.stat().st_mtime >= po_path.stat().st_mtime:
            continue
        from babel.messages.mofile import write_mo
        from babel.messages.pofile import read_po

        with po_path.open("rb") as source:
            catalogue = read_po(source, locale=po_path.parent.parent.name)
        # Several processes may start at once: each writes its own file and renames it into place.
        handle, temporary = tempfile.mkstemp(dir=mo_path.parent)
        with os.fdopen(handle, "wb") as target:
            write_mo(target, catalogue)
        os.replace(temporary, mo_path)
        written.append(mo_path)
    return written


def extract_from_template(fileobj: IO[bytes], keywords: Any, comment_tags: Any, options: Any) -> Iterator[Any]:
    """Babel extraction method for Django templates: Django rewrites the template, Babel reads the result."""
    from babel.messages.extract import extract_python
    from django.utils.translation.template import templatize

    source = templatize(fileobj.read().decode("utf-8"))
    # templatize() writes a context call as pgettext('ctx', 'x') and pads the rest of the text with X's.
    source = re.sub(r"[^\S\n]+", " ", source)
    code = "\n".join(line.strip() for line in source.split("\n"))
    yield from extract_python(BytesIO(code.encode("utf-8")), keywords, comment_tags, options)
