"""No process outlives its parent, with a death signal from the kernel and without."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from importer.parents import is_alive
from tests.importer.processes import PATIENCE, Process, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Processes are looked up in /proc.")

FAMILY = """
import multiprocessing, os, sys, time
from importer import parents

if sys.argv[1] == "without":
    parents._libc = None
parents.make_forks_die_with_parent()
fork = multiprocessing.get_context("fork")

def child():
    grandchild = fork.Process(target=time.sleep, args=(600,))
    grandchild.start()
    print(os.getpid(), grandchild.pid, flush=True)
    time.sleep(600)

fork.Process(target=child).start()
time.sleep(600)
"""


@pytest.mark.parametrize("death_signal", ["with", "without"])
def test_children_and_grandchildren_die_with_their_parent(death_signal: str) -> None:
    parent = subprocess.Popen([sys.executable, "-c", FAMILY, death_signal], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent, parent.stdout:
        descendants = [Process(int(pid), "child") for pid in parent.stdout.readline().split()]
        assert len(descendants) == 2
        assert all(process.is_there for process in descendants)
        parent.kill()
    for process in descendants:
        wait_until(lambda: not process.is_there, "a descendant has ended, too")  # noqa: B023


def test_a_signal_to_the_group_does_not_reach_the_children() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", FAMILY, "with"], stdout=subprocess.PIPE, text=True, process_group=0
    )
    assert parent.stdout is not None
    with parent, parent.stdout:
        child, _grandchild = parent.stdout.readline().split()
        assert os.getpgid(int(child)) != os.getpgid(parent.pid)
        parent.kill()


def test_a_child_whose_parent_is_gone_already_ends_at_once() -> None:
    code = "from importer.parents import die_with_parent; die_with_parent(1 << 30); print('still here')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode != 0
    assert ended.stdout == ""


def test_it_can_be_told_who_is_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    assert is_alive(os.getpid())
    assert not is_alive(child.pid)


ADOPTER = """
import os, signal, subprocess, sys, time
from importer.parents import reap_adopted

assert os.getpid() == 1
own = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])
# A shell that leaves a child behind: process 1 inherits it.
subprocess.run(["sh", "-c", "sleep 0.1 &"])
until = time.monotonic() + 60
def strangers():
    children = open("/proc/1/task/1/children").read().split()
    return [pid for pid in children if int(pid) != own.pid]
while time.monotonic() < until:
    reap_adopted(frozenset({own.pid}))
    if own.poll() is not None and not strangers():
        break
    time.sleep(0.05)
print(own.returncode, strangers(), flush=True)
"""


def test_process_1_of_a_container_clears_away_what_it_inherits() -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("Needs root and unshare, to be process 1 of a container.")
    ended = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", ADOPTER],
        capture_output=True, text=True, timeout=2 * PATIENCE, check=False,
    )  # fmt: skip
    if "unshare failed" in ended.stderr or "mount" in ended.stderr:
        pytest.skip(f"No container can be made here: {ended.stderr.strip()}")
    assert ended.stdout.split() == ["7", "[]"], ended.stderr
