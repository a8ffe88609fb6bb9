"""Runs the service, stops it in several ways, and holds what it did against the model of the stop.

    tests/model/conformance_test.py PHI_BACKEND       of a build with fault points

So code and model cannot drift apart: a run that the model does not allow fails, and a run with two steps exchanged
must not be allowed.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from conform import DOWN, RELEASE, allows, read_trace, show, steps_of

SETTINGS = """
[server]
port = {port}
[stats]
sqlite_path = "{home}/phi.db"
[admin]
socket = "{home}/admin.sock"
[shutdown]
timeout_secs = 2
force_delay_secs = 1
"""


@dataclass
class Run:
    name: str
    exit_code: int
    faults: dict = field(default_factory=dict)  # of the model
    injected: str = ""                          # PHI_FAULTS
    signals: tuple = (signal.SIGTERM,)
    request: bool = True                        # one is on its way when the first signal comes


RUNS = [
    Run("a stop", 0),
    Run("nobody has sent anything", 0, request=False),
    Run("a second signal while the store is busy", 0, injected="store.commit=block:900",
        signals=(signal.SIGTERM, signal.SIGTERM)),
    Run("the reader takes longer to leave than stats", 0, injected="stats.stop=block:300,reader.release=block:900"),
    Run("the reader dies in the stop", 80, {"DEATHS": 1}, "reader.release=throw"),
    Run("http dies in the stop", 80, {"DEATHS": 1}, "http.release=throw"),
    Run("the reader is stuck: forced", 81, {"FREEZES": 1}, "reader.release=block"),
    Run("stats are stuck: forced", 81, {"FREEZES": 1}, "stats.release=spin"),
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(port, process):
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5):
                return
        except OSError:
            if process.poll() is not None:
                sys.exit("the service has not started")
            time.sleep(0.1)
    sys.exit("the service has not become ready")


def send_event(port):
    """On its way: the answer is not waited for."""
    body = b'{"feature":"observed"}'
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                       b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    return connection


def observe(run, binary, home):
    """The steps that the service took."""
    port = free_port()
    settings = home / "phi.toml"
    settings.write_text(SETTINGS.format(port=port, home=home))
    trace = home / "trace.json"
    environment = os.environ | {"PHI_TRACE": str(trace)}
    if run.injected:
        environment["PHI_FAULTS"] = run.injected
    with open(home / "log", "w") as log:
        process = subprocess.Popen([binary, "--config", settings], env=environment, stdout=log, stderr=log)
    try:
        wait_until_ready(port, process)
        connection = send_event(port) if run.request else None
        if run.request:
            time.sleep(0.1)
        for number, name in enumerate(run.signals):
            time.sleep(0.4 if number else 0)  # the same wish twice within 0.2 s is one
            process.send_signal(name)
        code = process.wait(timeout=60)
        if connection:
            connection.close()
    finally:
        if process.poll() is None:
            process.kill()
    if code != run.exit_code:
        sys.exit(f"{run.name}: the exit code is {code} instead of {run.exit_code}; the log is\n{(home / 'log').read_text()}")
    return steps_of(read_trace(trace))


def check(run, binary):
    with tempfile.TemporaryDirectory() as home:
        steps = observe(run, binary, Path(home))
    if not allows(steps, run.exit_code, run.faults):
        print(f"FAILED   {run.name}: the model has no such run:\n  " + "\n  ".join(show(*step) for step in steps))
        return False
    print(f"allowed  {run.name}: {len(steps)} steps", flush=True)
    return steps


def check_that_it_refuses(steps):
    """The same run, but the store is released before STATS is gone."""
    store, stats = steps.index((RELEASE, 3)), steps.index((DOWN, 1))
    steps[store], steps[stats] = steps[stats], steps[store]
    refused = not allows(steps, 0, {})
    print("refused  the store released too early" if refused else "FAILED   the store released too early is allowed")
    return refused


def main():
    binary = Path(sys.argv[1]).resolve()
    seen = [check(run, binary) for run in RUNS]
    seen.append(bool(seen[0]) and check_that_it_refuses(list(seen[0])))
    failed = sum(not one for one in seen)
    print(f"{len(seen) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
