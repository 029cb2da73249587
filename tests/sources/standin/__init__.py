"""The stand-in: a local HTTPS server in the place of every host that AKShare asks.

AKShare's own code runs unmodified, pages, sleeps and all; only the name look-ups lead here, and the CA that a
process trusts is one made for the run. (A proxy in between would turn a dropped connection into another error.)

In the process of a test, with the fixture ``standin`` of ``tests/sources/conftest.py``::

    def test_a_ban(standin):
        standin.fault("reset", host="eastmoney", after=100)
        ...
        assert standin.arrivals("eastmoney")

For processes that a test starts, e.g. a real cluster with three workers that imports from Eastmoney::

    with running_standin(tmp_path, stocks=500) as standin:
        environment = {**os.environ, **standin.environment(), "DATABASE_URL": ..., "BARVAULT_WORKERS": "3"}
        cluster = subprocess.Popen([sys.executable, "manage.py", "qcluster"], env=environment, cwd=...)
        subprocess.run([sys.executable, "manage.py", "import_bars", "--source", "eastmoney", ...], env=environment)
        standin.fault("reset", host="eastmoney", after=100)       # Eastmoney bans after 100 more requests
        standin.fault("403", host="sina", every=3)                # Sina refuses every third one
        standin.fault("slow", host="tencent", seconds=2)          # Tencent is slow
        gaps = standin.gaps("eastmoney")                          # seconds between arrivals at the door

What it serves is made up from each symbol alone (``standin.market.bars(symbol)`` is the same in every process), and
real bars for 000001.SZ and 600000.SH with ``real=folder``. ``standin.market.symbols()`` are all stocks, delisted
ones included. The stand-in ends with the process that started it, also when that is killed.
"""

from __future__ import annotations

from tests.sources.standin.faults import Fault
from tests.sources.standin.handle import StandIn, running_standin
from tests.sources.standin.server import Arrival

__all__ = ["Arrival", "Fault", "StandIn", "running_standin"]
