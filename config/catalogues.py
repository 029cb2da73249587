"""Message catalogues for developers: extracted from code and templates, updated, and checked for completeness.

``python -m config.catalogues update`` brings ``locale/*/LC_MESSAGES/django.po`` in line with the sources (what is
translated stays, new messages come in empty); ``check`` names what is not translated and exits with 1.
English needs no catalogue: Django shows the message itself.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract, extract_python
from babel.messages.pofile import read_po, write_po

from config.translations import LOCALE_DIR

BASE_DIR = LOCALE_DIR.parent
LOCALES = ("zh_Hans",)
SOURCE_FOLDERS = ("config", "importer", "marketdata", "templates")
LINE_WIDTH = 110
KEYWORDS: dict[str, Any] = {
    **DEFAULT_KEYWORDS,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext_lazy": (1, 2),
    # marketdata.texts: a number with what it counts.
    "counted": (2, 3),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext_lazy": ((1, "c"), 2, 3),
}
_PLACEHOLDER = re.compile(r"%\((\w+)\)[-#0 +]*\d*(?:\.\d+)?([a-zA-Z])|\{(\w*)\}")
_HEADER = "# Barvault's messages. Written by `make messages`; only the translations are edited by hand."


def extract_from_template(
    fileobj: IO[bytes], keywords: Mapping[str, Any], comment_tags: Sequence[str], options: Mapping[str, Any]
) -> Iterator[Any]:
    """Babel extraction method for Django templates: Django rewrites the template as calls, Babel reads the calls."""
    from django.utils.translation.template import templatize

    calls = templatize(fileobj.read().decode("utf-8"))
    # Indentation means nothing here, and Babel's tokenizer would stumble over it. Messages are on one line each.
    lines = "\n".join(line.strip() for line in calls.split("\n"))
    yield from extract_python(BytesIO(lines.encode("utf-8")), keywords, comment_tags, {"encoding": "utf-8"})


def extract_messages(base_dir: Path = BASE_DIR, folders: Iterable[str] = SOURCE_FOLDERS) -> Catalog:
    """Return every message of the code and the templates below ``folders``, with the files it is in."""
    found = Catalog(charset="utf-8")
    for path in _source_files(base_dir, folders):
        method: Any = extract_python if path.suffix == ".py" else extract_from_template
        with path.open("rb") as source:
            for _line, message, comments, context in extract(method, source, KEYWORDS, ["Translators:"]):
                location = (path.relative_to(base_dir).as_posix(), 0)
                found.add(message, None, [location], auto_comments=comments, context=context)
    return found


def _source_files(base_dir: Path, folders: Iterable[str]) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((base_dir / folder).rglob("*")):
            if path.suffix in (".py", ".html", ".txt") and "migrations" not in path.parts:
                yield path


def read_catalogue(locale: str, locale_dir: Path = LOCALE_DIR) -> Catalog:
    """Return the catalogue of ``locale``; an empty one when there is no file yet."""
    path = _path(locale, locale_dir)
    if not path.exists():
        return Catalog(locale=locale, domain="django", charset="utf-8", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=locale, domain="django")


def update_catalogues(found: Catalog, locale_dir: Path = LOCALE_DIR, locales: Iterable[str] = LOCALES) -> None:
    """Write each locale's catalogue with exactly the messages ``found``; translations that are there stay."""
    for locale in locales:
        catalogue = read_catalogue(locale, locale_dir)
        catalogue.update(found, no_fuzzy_matching=True, update_creation_date=False)
        catalogue.obsolete.clear()
        written = Catalog(locale=locale, charset="utf-8", fuzzy=False, header_comment=_HEADER)
        for message in _messages(catalogue):
            written[message.id] = message
        path = _path(locale, locale_dir)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_as_po(written))


def _as_po(catalogue: Catalog) -> bytes:
    """Return the file's text: no line numbers and no dates, which would change with every edit of the sources."""
    body = BytesIO()
    write_po(body, catalogue, width=LINE_WIDTH, sort_by_file=True, omit_header=True, include_lineno=False)
    header = (
        f'{_HEADER}\nmsgid ""\nmsgstr ""\n"Language: {catalogue.locale_identifier}\\n"\n'
        f'"Plural-Forms: {catalogue.plural_forms}\\n"\n"MIME-Version: 1.0\\n"\n'
        '"Content-Type: text/plain; charset=utf-8\\n"\n"Content-Transfer-Encoding: 8bit\\n"\n\n'
    )
    return header.encode() + body.getvalue()


def missing_translations(
    found: Catalog | None = None, locale_dir: Path = LOCALE_DIR, locales: Iterable[str] = LOCALES
) -> list[str]:
    """Return one sentence for each message of the sources that a catalogue does not translate properly."""
    found = found or extract_messages()
    problems = []
    for locale in locales:
        catalogue = read_catalogue(locale, locale_dir)
        for message in _messages(found):
            problem = _problem(message, catalogue.get(message.id, message.context))
            if problem:
                files = ", ".join(sorted({file for file, _line in message.locations}))
                problems.append(f"{locale}: {_texts(message.id)[0]!r} {problem} ({files})")
    return problems


def _problem(message: Message, translated: Message | None) -> str | None:
    if translated is None:
        return "is not in the catalogue: run `make messages`"
    strings = _texts(translated.string)
    if not all(strings):
        return "is not translated"
    if translated.fuzzy:
        return "is marked as fuzzy"
    expected = _placeholders(_texts(message.id)[-1])
    if any(_placeholders(string) != expected for string in strings):
        return f"is translated with other placeholders than {sorted(expected)}"
    if expected and any("%" in _PLACEHOLDER.sub("", string).replace("%%", "") for string in strings):
        return "is translated with a bare % sign: write %%"
    return None


def _messages(catalogue: Catalog) -> Iterator[Message]:
    return (message for message in catalogue if message.id)


def _texts(text: Any) -> tuple[str, ...]:
    """Return the singular and the plural, or the one text that there is."""
    return tuple(text) if isinstance(text, (tuple, list)) else (text or "",)


def _placeholders(text: str) -> set[str]:
    return {match.group(0) for match in _PLACEHOLDER.finditer(text)}


def _path(locale: str, locale_dir: Path) -> Path:
    return locale_dir / locale / "LC_MESSAGES" / "django.po"


def main(arguments: Sequence[str]) -> int:
    if list(arguments) == ["update"]:
        update_catalogues(extract_messages())
        return 0
    if list(arguments) != ["check"]:
        sys.stderr.write("Usage: python -m config.catalogues update|check\n")
        return 2
    problems = missing_translations()
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
