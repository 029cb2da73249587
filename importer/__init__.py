"""How bars get in. The public Python API: ``run_import`` and ``Progress``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importer.progress import Progress
    from importer.run import run_import

__all__ = ["Progress", "run_import"]


def __getattr__(name: str) -> Any:
    # Models cannot be imported before Django is set up, so these come when they are first used.
    if name == "run_import":
        from importer.run import run_import

        return run_import
    if name == "Progress":
        from importer.progress import Progress

        return Progress
    raise AttributeError(name)
