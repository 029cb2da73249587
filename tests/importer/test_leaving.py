"""A process that ends at once: nothing that was said is lost, and nobody is waited for."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import atexit, logging, threading
from importer.leaving import end_process
threading.Thread(target=threading.Event().wait).start()
atexit.register(print, "took itself apart")
logging.basicConfig()
logging.error("logged")
print("printed")
end_process(3)
"""


def test_it_says_all_and_waits_for_no_thread_that_hangs() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert done.stdout == "printed\n"
    assert "logged" in done.stderr
