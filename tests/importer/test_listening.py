from __future__ import annotations

import socket
from contextlib import closing

import pytest
from django.utils import translation

from importer.listening import CannotListen, open_listening_socket, url_of


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_it_listens_where_it_says(host: str) -> None:
    with closing(open_listening_socket(host, 0)) as listener:
        port = listener.getsockname()[1]
        assert url_of(listener) == f"http://127.0.0.1:{port}/"
        socket.create_connection(("127.0.0.1", port)).close()


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_cannot_be_is_refused(port: int) -> None:
    with pytest.raises(CannotListen, match=str(port)):
        open_listening_socket("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "x" * 300])
def test_an_address_that_is_not_this_machines_is_refused(host: str) -> None:
    with pytest.raises(CannotListen) as refused:
        open_listening_socket(host, 0)
    assert host in str(refused.value)


def test_a_port_that_is_taken_is_named_as_a_number_that_can_be_typed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen) as refused, translation.override("en"):
            open_listening_socket("127.0.0.1", port)
        assert str(port) in str(refused.value)
