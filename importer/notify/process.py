"""The notifier's process: ``python -m importer.notify.process``, started by ``serve``."""

from __future__ import annotations

import os

import django

from importer.leaving import end_process
from importer.supervised import join_supervisor


def main() -> None:
    join_supervisor()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from importer.notify.notifier import run_notifier

    run_notifier()
    # A message that is being sent must not keep the process.
    end_process()


if __name__ == "__main__":
    main()
