"""What adjusted frames say about themselves, without slowing them down.

pandas copies ``DataFrame.attrs`` deeply with each slice and each operation. The anchors of 5,400 stocks made reading a
row of a panel a hundred times slower, so these are handed on as they are: they describe how the prices were made, and
are not meant to be changed. Pickled, they are plain lists and dicts, which can be read where Barvault is not.
"""

from __future__ import annotations

from typing import Any


class SharedDict(dict[str, Any]):
    """A dict that copies of a frame share."""

    def __deepcopy__(self, _memo: dict[int, Any]) -> SharedDict:
        return self

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (dict(self),)


class SharedList(list[Any]):
    """A list that copies of a frame share."""

    def __deepcopy__(self, _memo: dict[int, Any]) -> SharedList:
        return self

    def __reduce__(self) -> tuple[type[list[Any]], tuple[list[Any]]]:
        return list, (list(self),)
