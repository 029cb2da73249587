"""The API of a real server: ``serve`` with its workers, on a file of SQLite."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter

import pandas as pd
import pytest
import requests

from tests.importer.processes import PATIENCE, Installation, wait_until

pytestmark = pytest.mark.slow

# What the user was promised that it runs, but for the port.
CLIENT = """
import requests
response = requests.post('http://localhost:5000/api/data/import', json={'start_date': '2021-01-01', 'end_date': '2024-12-25'})
task_id = response.json()['task_id']
response = requests.get(f'http://localhost:5000/api/data/tasks/{task_id}')
task_data = response.json()['data']
print(f"进度: {task_data['progress']}% - {task_data['message']}")
"""  # noqa: E501
AT_ONCE = 50
MARKET = {"BARVAULT_SOURCE": "simulated", "BARVAULT_SIMULATED_STOCKS": "40"}


@pytest.fixture
def server(installation: Installation) -> str:
    """Return the address of a server on a small simulated market that takes its time."""
    installation.environment = {**MARKET, "BARVAULT_SIMULATED_LATENCY": "0.3"}
    _command, url = installation.start_serve()
    return url.rstrip("/")


def test_the_promised_client_runs_and_shows_the_progress(server: str) -> None:
    port = server.rpartition(":")[2]
    run = subprocess.run(
        [sys.executable, "-c", CLIENT.replace(":5000", f":{port}")],
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("进度: ")
    assert "% - " in run.stdout


def test_of_many_requests_at_once_one_starts_the_task_and_all_get_its_id(installation: Installation) -> None:
    # The import must outlast the requests, however slowly the machine answers them.
    installation.environment = {**MARKET, "BARVAULT_SIMULATED_LATENCY": "20"}
    server = installation.start_serve()[1].rstrip("/")
    answers: list[requests.Response] = []
    together = threading.Barrier(AT_ONCE)

    def ask() -> None:
        together.wait()
        answers.append(requests.post(f"{server}/api/data/import", json={"start_date": "2024-01-01"}, timeout=PATIENCE))

    threads = [threading.Thread(target=ask) for _number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(answer.status_code for answer in answers) == {202: 1, 200: AT_ONCE - 1}
    assert Counter(answer.json()["existing"] for answer in answers) == {False: 1, True: AT_ONCE - 1}
    assert len({answer.json()["task_id"] for answer in answers}) == 1
    assert installation.sql("SELECT COUNT(*) FROM importer_importtask") == [(1,)]
    assert installation.sql("SELECT COUNT(*) FROM importer_transition WHERE old = ''") == [(1,)]


def test_an_import_is_followed_to_its_end_and_its_bars_are_read_as_csv(server: str) -> None:
    started = requests.post(
        f"{server}/api/data/import", json={"symbols": ["600001"], "start_date": "2024-01-02"}, timeout=PATIENCE
    )
    assert "warning" not in started.json()
    address = f"{server}/api/data/tasks/{started.json()['task_id']}"
    wait_until(
        lambda: requests.get(address, timeout=PATIENCE).json()["data"]["status"] == "completed", "the import is over"
    )
    status = requests.get(f"{server}/api/data/status", timeout=PATIENCE).json()["data"]
    assert status["origin"] == "simulated"
    assert status["workers"] == 2
    symbol = requests.get(f"{server}/api/data/stocks?limit=1&search=600", timeout=PATIENCE).json()["data"][0]["symbol"]
    frame = pd.read_csv(f"{server}/api/data/bars/{symbol}.csv", parse_dates=["date"], index_col="date")
    assert len(frame) == status["bar_count"] > 0
    assert requests.get(f"{server}/readyz", timeout=PATIENCE).json()["checks"]["workers"] == "ok"


def test_a_forgotten_proxy_lets_nobody_in(server: str) -> None:
    """The web server hands its headers on, so that the guard sees them."""
    answer = requests.get(f"{server}/api/data/status", headers={"X-Forwarded-For": "192.0.2.1"}, timeout=PATIENCE)
    assert (answer.status_code, answer.json()["error"]) == (403, "behind_proxy")
