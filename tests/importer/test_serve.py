"""A real ``serve``: the page and the workers in one command, restarted when they die, gone when asked."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import threading
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.importer.processes import PATIENCE, Installation, free_port, wait_until

pytestmark = pytest.mark.slow

SLOW = {"DJANGO_SETTINGS_MODULE": "tests.importer.slow_settings"}
PAGE = "admin/login/"


def get(url: str) -> int:
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return int(answer.status)


class SlowRequest:
    """A request whose answer takes ``seconds``, made in a thread; it has begun when this object is there."""

    def __init__(self, url: str, begun: Path, seconds: float) -> None:
        self.answer: bytes | None = None
        self._url = f"{url}slow/?seconds={seconds}&begun={quote(str(begun))}"
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        wait_until(begun.exists, "the request has begun")

    def result(self) -> bytes | None:
        """Return the whole answer, or None when the connection was cut."""
        self._thread.join(PATIENCE)
        return self.answer

    def _ask(self) -> None:
        try:
            with urllib.request.urlopen(self._url, timeout=PATIENCE) as answer:
                self.answer = answer.read()
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError):
            self.answer = None


def is_gone(installation: Installation) -> bool:
    return not installation.processes()


def has_new(installation: Installation, role: str, old_pid: int) -> bool:
    return any(process.pid != old_pid for process in installation.processes(role))


def refused(installation: Installation, *arguments: str, **environment: str) -> str:
    """Run ``serve``, which must end with status 2 and nothing but a sentence; return the sentence."""
    ended = installation.manage("serve", *arguments, check=False, **environment)
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    assert is_gone(installation)
    return ended.stderr


def test_it_serves_pages_and_static_files_and_runs_the_workers(installation: Installation) -> None:
    _command, url = installation.start_serve(workers=3)
    assert get(url + PAGE) == 200
    assert get(url + "static/admin/css/base.css") == 200
    assert installation.sql("SELECT workers FROM importer_host") == [(3,)]


def test_it_says_once_where_it_can_be_reached(installation: Installation) -> None:
    command, url = installation.start_serve()
    web = installation.process("web")
    web.kill()
    wait_until(lambda: has_new(installation, "web", web.pid), "a new web server is there")
    assert get(url + PAGE) == 200
    assert command.text().count(url) == 1


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_everything(installation: Installation, signum: int) -> None:
    command, _url = installation.start_serve()
    command.send(signum)
    assert command.wait() == 0
    assert is_gone(installation)


def test_no_process_takes_itself_apart_while_somebody_waits_for_its_end(
    installation: Installation, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import atexit\natexit.register(print, 'took itself apart')\n")
    command, _url = installation.start_serve(PYTHONPATH=str(tmp_path))
    command.send(signal.SIGTERM)
    assert command.wait() == 0
    assert "took itself apart" not in command.text()


def test_ctrl_c_on_the_terminal_ends_everything(installation: Installation) -> None:
    command, _url = installation.start_serve()
    os.killpg(command.pid, signal.SIGINT)
    assert command.wait() == 0
    assert is_gone(installation)


def test_a_request_that_has_begun_is_answered_before_the_stop(installation: Installation) -> None:
    command, url = installation.start_serve(**SLOW)
    request = SlowRequest(url, installation.var_dir / "begun", seconds=0.5)
    command.send(signal.SIGTERM)
    assert request.result() == b"finished"
    assert command.wait() == 0


def test_a_request_that_hangs_does_not_hold_up_the_stop(installation: Installation) -> None:
    command, url = installation.start_serve(**SLOW)
    request = SlowRequest(url, installation.var_dir / "begun", seconds=600)
    command.send(signal.SIGTERM)
    assert command.wait() == 0
    assert is_gone(installation)
    assert request.result() is None


def test_a_killed_web_server_is_replaced_and_loses_no_new_connection(installation: Installation) -> None:
    _command, url = installation.start_serve()
    for _round in range(2):
        web = installation.process("web")
        web.kill()
        wait_until(lambda: not web.is_there, "the web server is dead")  # noqa: B023
        assert get(url + PAGE) == 200


def test_a_killed_cluster_is_replaced(installation: Installation) -> None:
    installation.start_serve()
    cluster = installation.process("cluster")
    cluster.kill()
    wait_until(lambda: has_new(installation, "cluster", cluster.pid), "a new cluster is there")
    installation.wait_for_cluster(2)


def test_a_web_server_and_a_cluster_that_hang_are_replaced(installation: Installation) -> None:
    _command, url = installation.start_serve()
    stopped = [installation.process("web"), installation.process("cluster")]
    for process in stopped:
        process.kill(signal.SIGSTOP)
    assert get(url + PAGE) == 200
    wait_until(lambda: not any(process.is_there for process in stopped), "those that hang are killed")
    installation.wait_for_cluster(2)


def test_nobody_outlives_a_killed_supervisor(installation: Installation) -> None:
    command, _url = installation.start_serve()
    command.send(signal.SIGKILL)
    command.wait()
    wait_until(lambda: is_gone(installation), "all its processes have ended, too")


def test_nobody_outlives_a_supervisor_that_was_killed_while_they_started(installation: Installation) -> None:
    command = installation.start("serve", "--port", "0")
    wait_until(lambda: len(installation.processes()) >= 3, "the children are started")
    command.send(signal.SIGKILL)
    command.wait()
    wait_until(lambda: is_gone(installation), "all its processes have ended, too")


def test_without_web_there_are_only_workers(installation: Installation) -> None:
    installation.start_serve("--no-web")
    roles = Counter(process.role for process in installation.processes())
    assert roles["web"] == 0
    assert roles["notifier"] == 1
    assert roles["idle"] == 2


def test_a_port_that_is_taken_is_one_sentence(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        sentence = refused(installation, "--port", port)
    assert port in sentence
    assert "BARVAULT_PORT" in sentence


def test_an_address_of_another_machine_is_one_sentence(installation: Installation) -> None:
    assert "192.0.2.1" in refused(installation, "--host", "192.0.2.1")


def test_a_database_without_tables_is_one_sentence(bare_installation: Installation) -> None:
    assert "manage.py migrate" in refused(bare_installation, "--port", "0")


def test_a_database_that_does_not_answer_is_one_sentence(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody_else:
        port = somebody_else.getsockname()[1]
    sentence = refused(installation, "--port", "0", DATABASE_URL=f"postgres://user:secret-word@127.0.0.1:{port}/bars")
    assert "bars" in sentence
    assert "secret-word" not in sentence


def test_no_worker_is_one_sentence(installation: Installation) -> None:
    refused(installation, "--workers", "0")


class TestWithinReachOfOtherMachines:
    """Behind a reverse proxy: with a further allowed host, on this machine's own address."""

    PROXIED = {"BARVAULT_ALLOWED_HOSTS": "bars.example.com"}  # noqa: RUF012

    def test_it_refuses_without_anybody_who_can_log_in(self, installation: Installation) -> None:
        assert "createsuperuser" in refused(installation, "--port", "0", **self.PROXIED)

    def test_it_refuses_without_a_token(self, installation: Installation) -> None:
        self.make_user(installation)
        assert "BARVAULT_API_TOKEN" in refused(installation, "--port", "0", **self.PROXIED)

    def test_it_starts_with_both(self, installation: Installation) -> None:
        self.make_user(installation)
        _command, url = installation.start_serve(BARVAULT_API_TOKEN="long-and-random", **self.PROXIED)
        request = urllib.request.Request(url + PAGE, headers={"Host": "bars.example.com"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            assert answer.status == 200

    @staticmethod
    def make_user(installation: Installation) -> None:
        installation.manage(
            "createsuperuser", "--noinput", "--username", "u", "--email", "u@example.com",
            DJANGO_SUPERUSER_PASSWORD="a long password",
        )  # fmt: skip


def test_its_url_answers_on_the_port_that_was_asked_for(installation: Installation) -> None:
    port = free_port()
    command = installation.start("serve", "--port", str(port), "--workers", "1")
    wait_until(lambda: f":{port}/" in command.text(), "it says where")
    assert get(f"http://127.0.0.1:{port}/{PAGE}") == 200
