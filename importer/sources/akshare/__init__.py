"""Sources that ask through AKShare's own functions, unmodified, each request of which passes the gate."""

from __future__ import annotations

import os

# AKShare draws progress bars on stderr; tqdm looks at this when it is imported.
os.environ.setdefault("TQDM_DISABLE", "1")
