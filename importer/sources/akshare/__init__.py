"""Sources that ask through AKShare's own functions, unmodified, each request of which passes the gate."""

from __future__ import annotations

from akshare.utils.tqdm import get_tqdm

# AKShare draws progress bars, in a notebook by widgets: it fails there when they are not installed. This is its own
# switch, enable=True unless a caller says otherwise, and its functions do not.
get_tqdm.__defaults__ = (False,)
