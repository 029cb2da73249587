"""What every page's template may ask for."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from importer.page_data import is_simulated


def every_page(request: HttpRequest) -> dict[str, Any]:
    """Return whether this is a simulated market (read when a template asks), and whether folders may be named."""
    return {"simulated_market": SimpleLazyObject(is_simulated), "settings_files_root": bool(settings.FILES_ROOT)}
