"""Where files lie on this machine is not told through the API: only what is below BARVAULT_FILES_ROOT has a name."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings


def told_path(path: str | None) -> str | None:
    """Return a path as callers may name it: below BARVAULT_FILES_ROOT. Of another one only the last part is told."""
    if path is None:
        return None
    root = _root()
    if root is not None and Path(path).is_relative_to(root):
        return str(Path(path).relative_to(root))
    return Path(path).name


def told(sentence: str, path: str | None = None) -> str:
    """Return a sentence without the places of the files that it names. ``path``: the folder it may be about."""
    root = _root()
    if root is not None:
        sentence = sentence.replace(f"{root}/", "").replace(str(root), root.name)
    for place in (path, str(settings.DATABASES["default"]["NAME"])):
        if place and Path(place).is_absolute():
            sentence = sentence.replace(place, Path(place).name)
    return sentence


def _root() -> Path | None:
    return Path(settings.FILES_ROOT).resolve() if settings.FILES_ROOT else None
