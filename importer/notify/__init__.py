"""Messages about what happened: written down with what happened, sent by a process of its own.

Why it is made so: docs/decisions/013-notifications.md
"""

from __future__ import annotations
