"""What the benchmarks share: building, the service, the programs of this folder, percentiles, a table."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def build(flavour):
    """Builds a flavour and returns its directory."""
    out = subprocess.run([ROOT / "tools/build", flavour], capture_output=True, text=True)
    if out.returncode:
        raise SystemExit(out.stderr)
    return ROOT / out.stdout.strip()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Programs:
    """The programs of tools/bench in a build directory."""

    def __init__(self, directory):
        self.directory = Path(directory).resolve()

    def path(self, name):
        return str(self.directory / "tools/bench" / name)

    @property
    def service(self):
        return self.directory / "server/phi-backend"

    def write_events(self, file, *options):
        """Writes what real_events makes: a mode, how many, and more (real_events --help)."""
        with open(file, "wb") as out:
            subprocess.run([self.path("real_events"), *map(str, options)], stdout=out, check=True)

    def send(self, port, file, lines, connections, *options):
        """What ingest_client saw. Stops when one event was not acknowledged as it must be."""
        return self.sent(self.start_sending(port, file, lines, connections, *options))

    def start_sending(self, port, file, lines, connections, *options):
        return subprocess.Popen([self.path("ingest_client"), str(port), str(file), "--lines", str(lines),
                                 "--connections", str(connections), *map(str, options)],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @staticmethod
    def sent(client):
        out, trouble = client.communicate()
        if client.returncode:
            raise SystemExit(f"events were not acknowledged as they must be:\n{out}{trouble}")
        return json.loads(out)


class Service:
    """The real program on a free port, in `directory` or in a temporary one of its own."""

    def __init__(self, binary, directory=None, **settings):
        self.own = directory is None
        self.dir = str(directory) if directory else tempfile.mkdtemp(prefix="phi-bench-")
        self.log_path = os.path.join(self.dir, "log")
        env = {k: v for k, v in os.environ.items() if not k.startswith(("APP_", "PHI_"))}
        env.update({"APP_SERVER_PORT": "0", "APP_SERVER_STATE_DIR": self.dir})
        env.update(settings)
        self.log_file = open(self.log_path, "wb")
        self.began = time.monotonic()
        self.process = subprocess.Popen([binary], env=env, stderr=self.log_file, stdin=subprocess.DEVNULL)
        try:
            self.wait_for("supervisor is ready", 60)
            self.ready = time.monotonic()
            self.port = int(re.search(r"port=(\d+)", self.log()).group(1))
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def log(self):
        return Path(self.log_path).read_text(errors="replace")

    def wait_for(self, text, limit=20):
        end = time.monotonic() + limit
        while text not in self.log():
            if time.monotonic() > end or self.process.poll() is not None:
                raise SystemExit(f"the service did not say {text!r}:\n{self.log()}")
            time.sleep(0.0005)

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()

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
            self.kill()
        self.log_file.close()
        if self.own:
            shutil.rmtree(self.dir, ignore_errors=True)


class Limit:
    """RESTinio alone: takes the same requests and answers a constant."""

    def __init__(self, programs):
        self.port = free_port()
        self.process = subprocess.Popen([programs.path("constant_answer"), str(self.port)], stderr=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    self.__exit__()
                    raise SystemExit("constant_answer does not listen")
                time.sleep(0.005)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def row(name, *cells):
    print(f"{name:46}" + "".join(f"{cell:>16}" for cell in cells), flush=True)


def milliseconds(seconds):
    return f"{seconds * 1000:.1f} ms"
