"""The notifier's process: ``python -m importer.notify.process``, started by ``serve``."""

from __future__ import annotations

import logging
import os

import django

from importer.supervised import join_supervisor


def main() -> None:
    join_supervisor()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from importer.notify.notifier import run_notifier

    run_notifier()
    logging.shutdown()
    # A message that is being sent must not keep the process.
    os._exit(0)


if __name__ == "__main__":
    main()
