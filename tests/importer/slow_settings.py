"""The product's settings with the pages of ``slow_urls``."""

from __future__ import annotations

from config.settings import *  # noqa: F403

ROOT_URLCONF = "tests.importer.slow_urls"
