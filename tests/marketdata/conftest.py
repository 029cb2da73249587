from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.utils import translation


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Render sentences as they are written in the source, whatever the catalogues say."""
    with translation.override("en"):
        yield
