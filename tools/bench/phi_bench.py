"""What the benchmarks share: starting the service, load by wrk, percentiles, a table."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections import namedtuple
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
EVENT = ('{"feature":"images","action":"generate","route":"/image","method":"POST","status":200,'
         '"durationMs":123,"userHash":"0123456789abcdef0123456789abcdef","extra":{"k":"v"}}')
SCRIPT = """
local event = [[%s]]
local count = %d
wrk.method = "POST"
wrk.headers["Content-Type"] = count == 1 and "application/json" or "application/x-ndjson"
wrk.body = count == 1 and event or string.rep(event .. "\\n", count)
"""


# What one run of wrk saw: events a second, all requests, latencies as wrk writes them.
Seen = namedtuple("Seen", "rate requests p50 p99")


def wrk(port, events, connections, seconds):
    """Posts requests of `events` events each."""
    if not shutil.which("wrk"):
        raise SystemExit("wrk is missing: apt-get install wrk")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT % (EVENT, events))
        script.flush()
        out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script.name,
                              f"http://127.0.0.1:{port}/api/v1/events"], capture_output=True, text=True).stdout
    if "Non-2xx" in out:
        raise SystemExit("answers other than 2xx:\n" + out)
    found = [re.search(pattern, out).group(1)
             for pattern in (r"Requests/sec:\s+([\d.]+)", r"(\d+) requests in", r"\n +50%\s+(\S+)", r"\n +99%\s+(\S+)")]
    return Seen(float(found[0]) * events, int(found[1]), *found[2:])


def build(flavour):
    """Builds a flavour and returns its directory."""
    out = subprocess.run([ROOT / "tools/build", flavour], capture_output=True, text=True)
    if out.returncode:
        raise SystemExit(out.stderr)
    return ROOT / out.stdout.strip()


class Service:
    """The real program in a directory of its own, on a free port."""

    def __init__(self, binary, **settings):
        self.dir = tempfile.mkdtemp(prefix="phi-bench-")
        self.log_path = os.path.join(self.dir, "log")
        env = {k: v for k, v in os.environ.items() if not k.startswith(("APP_", "PHI_"))}
        env.update({"APP_SERVER_PORT": "0", "APP_SERVER_STATE_DIR": self.dir})
        env.update(settings)
        self.log_file = open(self.log_path, "wb")
        self.began = time.monotonic()
        self.process = subprocess.Popen([binary], env=env, stderr=self.log_file, stdin=subprocess.DEVNULL)
        self.wait_for("supervisor is ready")
        self.ready = time.monotonic()
        self.port = int(re.search(r"port=(\d+)", self.log()).group(1))

    def log(self):
        return Path(self.log_path).read_text()

    def wait_for(self, text, limit=20):
        end = time.monotonic() + limit
        while text not in self.log():
            if time.monotonic() > end or self.process.poll() is not None:
                raise SystemExit(f"the service did not say {text!r}:\n{self.log()}")
            time.sleep(0.0005)

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def stop(self):
        """Seconds from SIGTERM to the exit, and the exit status."""
        began = time.monotonic()
        self.signal()
        code = self.process.wait()
        return time.monotonic() - began, code

    def status(self, field):
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{field}:\s+(\d+) kB", text).group(1))

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log_file.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def row(name, *cells):
    print(f"{name:46}" + "".join(f"{cell:>16}" for cell in cells), flush=True)


def milliseconds(seconds):
    return f"{seconds * 1000:.1f} ms"
