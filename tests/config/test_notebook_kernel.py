"""What docs/prices.md promises to work in a notebook, in a real Jupyter kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.conf import settings

from tests.config.kernels import Kernel, install_kernel, started_kernel

pytestmark = pytest.mark.slow

SETTINGS = ("DJANGO_SETTINGS_MODULE", "DJANGO_ALLOW_ASYNC_UNSAFE", "PYTHONPATH")
# A stock with a dividend, in a database whose bars are made up: a simulated import may follow.
FILL = """
import django; django.setup()
from django.core.management import call_command
from datetime import date
from marketdata.actions import ListedAction, save_actions
from marketdata.adjustment import Action
from marketdata.store import ensure_stocks, store_bars
from tests.marketdata.bars import bars, weekdays
call_command("migrate", verbosity=0)
stock = ensure_stocks(["600519.SH"])["600519.SH"]
store_bars(stock, bars(weekdays("2024-01-01", 6)), source="simulated", simulated=True, covered=None)
dividend = ListedAction("600519.SH", Action(date(2024, 1, 4), cash_per_share=0.5))
save_actions([dividend], source="simulated", simulated=True)
"""


def environment_for(database_url: str) -> dict[str, str]:
    """Return what a notebook started by a user has: nothing of Django's, and not the project's folder."""
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    return {**kept, "DATABASE_URL": database_url, "BARVAULT_SIMULATED_STOCKS": "12"}


def fill(environment: dict[str, str]) -> None:
    filling = {**environment, "DJANGO_SETTINGS_MODULE": "config.settings"}
    subprocess.run([sys.executable, "-c", FILL], env=filling, cwd=settings.BASE_DIR, check=True)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_kernel(tmp_path_factory.mktemp("kernels"), PYTHONPATH=str(settings.BASE_DIR))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a kernel whose database holds a few bars."""
    environment = environment_for(f"sqlite:///{tmp_path_factory.mktemp('data')}/data.sqlite3")
    fill(environment)
    return environment


@pytest.fixture(scope="module")
def kernel(kernels: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel in another folder than the project's that has run the lines of docs/prices.md."""
    with started_kernel(kernels, environment, tmp_path_factory.mktemp("notebooks")) as kernel:
        shown = kernel.run(documented_lines())
        assert (shown.error, shown.logged) == ("", "")
        yield kernel


def documented_lines() -> str:
    text = (settings.BASE_DIR / "docs/prices.md").read_text()
    return text.partition("```python\n")[2].partition("```")[0]


def test_the_documented_lines_adjust_prices_and_show_a_table(kernel: Kernel) -> None:
    assert kernel.run("bars.attrs['anchor'], closes.shape").text == "('2024-01-01', (6, 1))"
    assert "<table" in kernel.run("bars").result["text/html"]


def test_the_first_three_of_them_are_enough(kernels: Path, environment: dict[str, str], tmp_path: Path) -> None:
    with started_kernel(kernels, environment, tmp_path) as kernel:
        kernel.run("\n".join(documented_lines().splitlines()[:2]))
        assert kernel.run('len(load_bars("600519", "2015-01-01", adjust="hfq"))').text == "6"


def test_a_day_and_weeks_are_read_too(kernel: Kernel) -> None:
    kernel.run("from marketdata.reading import load_day, resample")
    assert kernel.run("load_day(bars.index[-1]).index.tolist()").text == "['600519.SH']"
    assert kernel.run("len(resample(bars, 'weekly'))").text == "2"


def test_a_cell_that_awaits_reads_and_so_does_a_thread(kernel: Kernel) -> None:
    kernel.run("import asyncio\nasync def count(): return len(load_bars('600519'))")
    assert kernel.run("await count()").text == "6"
    assert kernel.run("len(await asyncio.to_thread(load_bars, '600519'))").text == "6"


def test_an_error_is_a_sentence_in_the_language_of_commands_in_every_thread(kernel: Kernel) -> None:
    sentence = "000002.SZ is not in the database. Import it first."
    here = kernel.run("load_bars('000002')")
    assert (here.error, here.sentence) == ("UnknownStock", sentence)
    assert kernel.run("await asyncio.to_thread(load_bars, '000002')").sentence == sentence


def test_an_import_runs_in_a_cell_and_tells_how_far_it_is(kernel: Kernel) -> None:
    shown = kernel.run(
        "from importer import run_import\n"
        "task = run_import(source='simulated', start='2024-01-01', on_progress=lambda now: print(now.percent))\n"
        "str(task.status), task.done"
    )
    assert (shown.text, shown.logged) == ("('completed', 12)", "")
    assert shown.printed.splitlines()[-1] == "100"


def test_akshare_asks_for_no_widgets(kernel: Kernel) -> None:
    shown = kernel.run(
        "from tqdm.auto import tqdm\n"
        "import importer.sources.akshare.sina\n"
        "from akshare.utils.tqdm import get_tqdm\n"
        "list(get_tqdm()(range(3)))"
    )
    assert shown.text == "[0, 1, 2]"


def test_other_libraries_are_not_made_talkative(kernel: Kernel) -> None:
    assert kernel.run("import logging; logging.getLogger('another').info('hello')").logged == ""


def test_a_kernel_that_was_restarted_reads_again(kernels: Path, environment: dict[str, str], tmp_path: Path) -> None:
    with started_kernel(kernels, environment, tmp_path) as kernel:
        kernel.run(documented_lines())
        kernel.restart()
        assert kernel.run("bars").error == "NameError"
        assert kernel.run(documented_lines()).error == ""


def test_a_database_that_is_not_prepared_is_a_sentence(kernels: Path, tmp_path: Path) -> None:
    with started_kernel(kernels, environment_for(f"sqlite:///{tmp_path}/new.sqlite3"), tmp_path) as kernel:
        assert "Run `python manage.py migrate` first" in kernel.run("import config.notebook").logged


def test_a_kernel_goes_on_when_its_database_server_was_restarted(
    kernels: Path, postgresql_url: str, tmp_path: Path
) -> None:
    environment = environment_for(postgresql_url)
    fill(environment)
    with started_kernel(kernels, environment, tmp_path) as kernel:
        kernel.run(documented_lines())
        with psycopg.connect(postgresql_url, autocommit=True) as server:
            server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert kernel.run("len(load_bars('600519'))").text == "6"
