"""``python -m tests.sources.standin``: the stand-in as a process, until its standard input closes or Ctrl-C.

It prints one line of JSON when it is ready: its port, its control port, and the file with its CA.
"""

from __future__ import annotations

import argparse
import json
import ssl
import sys
import threading
from datetime import date
from pathlib import Path

import trustme

from tests.sources.standin.bars import Market, newest_finished_session
from tests.sources.standin.control import ControlServer
from tests.sources.standin.server import HOSTS, StandInServer
from tests.sources.standin.tcp_services import SERVICES, TcpServer


def main() -> None:
    parser = argparse.ArgumentParser(description="Stand in for the hosts that AKShare asks.")
    parser.add_argument("--port", type=int, default=0, help="where to listen (default: any free port)")
    parser.add_argument("--folder", type=Path, required=True, help="where to write the CA's certificate")
    parser.add_argument("--stocks", type=int, default=60, help="how many stocks are listed")
    parser.add_argument("--until", type=date.fromisoformat, default=None, help="the last day with bars")
    parser.add_argument("--real", type=Path, default=None, help="the folder of real data, to serve what it holds")
    parser.add_argument("--stay", action="store_true", help="go on when standard input closes")
    options = parser.parse_args()

    # Who comes to the door must be seen while another thread packs a page.
    sys.setswitchinterval(0.001)
    market = Market(options.stocks, options.until or newest_finished_session(), options.real)
    authority = trustme.CA()
    certificate = options.folder / "standin-ca.pem"
    authority.cert_pem.write_to_path(str(certificate))
    server = StandInServer(options.port, market, _tls(authority), _tls(trustme.CA()))
    control = ControlServer(server)
    services = {port: TcpServer(server, host, dialogue) for port, (host, dialogue) in SERVICES.items()}
    for each in (server, control, *services.values()):
        threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    tcp = ",".join(f"{there}={service.port}" for there, service in services.items())
    ready = {"port": server.server_port, "control": control.server_port, "ca": str(certificate), "tcp": tcp}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    try:
        if options.stay:
            threading.Event().wait()
        sys.stdin.read()
    except KeyboardInterrupt:
        pass
    server.stopping.set()


def _tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*HOSTS).configure_cert(context)
    return context


if __name__ == "__main__":
    main()
