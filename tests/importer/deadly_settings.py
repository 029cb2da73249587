"""The product's settings, with stocks that kill their worker."""

from __future__ import annotations

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.importer.deadly.apps.DeadlyConfig"]
