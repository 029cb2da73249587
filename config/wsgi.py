"""For a WSGI server of your own; ``manage.py serve`` brings one."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from config.translations import compile_stale_catalogues

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
compile_stale_catalogues()
application = get_wsgi_application()
