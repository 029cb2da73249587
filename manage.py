#!/usr/bin/env python
"""Barvault's command line: ``python manage.py help``."""

from __future__ import annotations

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from config.translations import compile_stale_catalogues

    compile_stale_catalogues()
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
