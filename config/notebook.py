"""Make this installation's data readable from a notebook or a script::

    import config.notebook
    from marketdata.reading import load_bars
    load_bars("600519", "2024-01-01", adjust="qfq")

Jupyter runs each cell inside an event loop, where Django's ORM refuses to work unless it is told that nobody else
waits on that loop: in a notebook nobody does.
"""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")

import django
from django.apps import apps

if not apps.ready:
    django.setup()
