from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _


class ImporterConfig(AppConfig):
    name = "importer"
    verbose_name = _("Import")

    def ready(self) -> None:
        """Refuse a floor of a source that does not exist: whoever set it would ask more often than he meant to."""
        from importer.sources.registry import paced_names

        if unknown := sorted(set(settings.PACE_FLOORS) - set(paced_names())):
            raise ImproperlyConfigured(
                f"BARVAULT_PACE_FLOORS names {', '.join(unknown)}; it may name {', '.join(paced_names())}."
            )
