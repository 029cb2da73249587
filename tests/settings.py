"""Barvault's settings in an environment of the tests' own (see ``environment.py``).

BARVAULT_TEST_DATABASE_URL runs the suite on another database, e.g. ``postgres://…``: Django makes a test
database beside the one it names.
"""

from __future__ import annotations

import os

from tests.environment import isolate

isolate()
# Sentences are tested as they stand in the code, whatever the locale of the machine.
os.environ["BARVAULT_LANGUAGE"] = "en"
if _database_url := os.environ.get("BARVAULT_TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = _database_url

from config.settings import *  # noqa: E402, F403

# The processes that tests start are the product: they run on its own settings, in this environment.
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"

# The usual hasher is slow on purpose.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
