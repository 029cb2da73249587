from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings as project_settings
from django.utils.translation import gettext, override

from importer.exceptions import BadRequest
from importer.sources.base import SnapshotSource, Source
from importer.sources.registry import SOURCES, auto_order, by_list, get_source, in_registry_order, label, source_names


def test_the_sources_of_the_design_are_there() -> None:
    assert {"eastmoney", "tdx", "files", "simulated"} <= set(source_names())
    assert "auto" not in source_names()


@pytest.mark.parametrize("name", list(SOURCES))
def test_every_source_keeps_the_protocol(name: str, tmp_path: Path) -> None:
    source = get_source(name, path=str(tmp_path) if SOURCES[name].takes_path else None)
    assert isinstance(source, Source)
    assert source.name == name
    assert len(name) <= 12
    assert source.label == label(name)
    assert source.local == SOURCES[name].takes_path
    assert source.simulated == (name == "simulated")


@pytest.mark.parametrize("name", list(SOURCES))
def test_every_source_has_words(name: str) -> None:
    assert label(name) != name
    with override("en"):
        assert gettext(label(name)) == label(name)


def test_an_unknown_source_is_a_bad_request_that_names_those_there_are() -> None:
    with pytest.raises(BadRequest, match=r"no source “yahoo”.*auto, eastmoney") as error:
        get_source("yahoo")
    assert error.value.field == "source"


@pytest.mark.parametrize("path", [None, ""])
def test_a_source_that_reads_files_needs_a_path(path: str | None) -> None:
    with pytest.raises(BadRequest, match="tdx needs a path") as error:
        get_source("tdx", path=path)
    assert error.value.field == "path"


def test_a_path_for_a_source_that_reads_none_is_a_bad_request() -> None:
    with pytest.raises(BadRequest, match=r"simulated reads no files.*tdx, files") as error:
        get_source("simulated", path="/tmp")
    assert error.value.field == "path"


def test_auto_asks_every_network_source_once() -> None:
    assert sorted(auto_order()) == sorted(name for name, entry in SOURCES.items() if entry.network)


def test_auto_starts_with_who_bans_least() -> None:
    order = auto_order()
    assert order[0] == "tdxquotes"
    assert order.index("eastmoney") > order.index("sina"), "it is needed for the snapshot and corporate actions"


def test_the_list_of_stocks_comes_from_who_has_all_of_them() -> None:
    names = [source.name for source in by_list([get_source(name) for name in auto_order()])]
    assert names == ["sina", "eastmoney", "tdxquotes", "baostock", "tencent"]


def test_a_snapshot_is_taken_from_eastmoney_first() -> None:
    sources = in_registry_order([get_source(name) for name in auto_order()])
    assert [source.name for source in sources if isinstance(source, SnapshotSource)] == ["eastmoney", "sina"]


def test_the_order_of_auto_can_be_set(settings: object) -> None:
    settings.AUTO_ORDER = ["eastmoney"]  # type: ignore[attr-defined]
    assert auto_order() == ["eastmoney"]


@pytest.mark.parametrize("name", ["tdx", "simulated", "nasdaq"])
def test_an_order_of_auto_with_anything_else_is_refused(settings: object, name: str) -> None:
    settings.AUTO_ORDER = ["eastmoney", name]  # type: ignore[attr-defined]
    with pytest.raises(BadRequest, match=f"BARVAULT_AUTO_ORDER names “{name}”"):
        auto_order()


def test_listing_the_sources_imports_none_of_them() -> None:
    script = (
        "import django, sys; django.setup();"
        "from importer.sources import registry;"
        "registry.source_names(); registry.auto_order(); [registry.label(name) for name in registry.SOURCES];"
        "modules = {entry.target.rpartition('.')[0] for entry in registry.SOURCES.values()};"
        "print([name for name in sorted({'akshare', *modules}) if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=project_settings.BASE_DIR, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
