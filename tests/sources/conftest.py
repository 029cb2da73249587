"""Fixtures for tests of the sources: the stand-in, and a pace that does not make tests wait."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from importer.pace_memory import memory
from importer.sources import baostock_wire, gate_adapter, network, tdx_servers, tdxquotes
from tests.sources.standin import StandIn, running_standin


def close_connections() -> None:
    gate_adapter.close_connections()
    baostock_wire.close_connections()
    tdxquotes.close_connections()
    tdx_servers.forget()
    network.forget()


@pytest.fixture(scope="session")
def standin_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with running_standin(tmp_path_factory.mktemp("standin")) as standin:
        yield standin


@contextmanager
def led_to(standin: StandIn, settings: Any) -> Iterator[None]:
    """Lead the requests of this process to the stand-in, without faults, at a pace that costs no time."""
    standin.clear_faults()
    standin.clear_door()
    settings.PACE_MIN, settings.PACE_MAX = 0.0, 0.001
    memory.forget()
    close_connections()
    with standin.redirected(), warnings.catch_warnings():
        # What AKShare's own lines do is not ours to mend; without tests, Python does not show it either.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"akshare\.")
        yield
    close_connections()
    memory.forget()


@pytest.fixture
def standin(standin_process: StandIn, settings: Any, transactional_db: None) -> Iterator[StandIn]:
    with led_to(standin_process, settings):
        yield standin_process
