"""DuckDB on the same rows, in a process of its own; npm installs it."""

import json
import subprocess
from pathlib import Path

PACKAGE = "@duckdb/node-api@1.5.6-r.1"
COLUMNS = {"time_us": "BIGINT", "identity": "VARCHAR", "feature": "VARCHAR", "action": "VARCHAR", "route": "VARCHAR",
           "method": "VARCHAR", "status": "INTEGER", "duration_us": "BIGINT", "user_hash": "VARCHAR", "user_kind": "VARCHAR",
           "instance": "VARCHAR"}


def install(directory):
    """Why it could not be installed; None: it is there."""
    if (Path(directory) / "node_modules/@duckdb/node-api").is_dir():
        return None
    try:
        out = subprocess.run(["npm", "install", "--prefix", str(directory), "--no-audit", "--no-fund", "--ignore-scripts",
                              "--loglevel=error", PACKAGE], capture_output=True, text=True, timeout=180)
    except (OSError, subprocess.TimeoutExpired) as e:
        return str(e)
    return (out.stderr.strip().splitlines() or ["npm failed"])[0] if out.returncode else None


class Duck:
    def __init__(self, modules, file):
        self.file = Path(file)
        script = Path(__file__).with_name("duck.mjs")
        self.process = subprocess.Popen(["node", str(script), str(Path(modules).resolve()), file], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.ask(f"CREATE TABLE event ({', '.join(' '.join(column) for column in COLUMNS.items())})")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()
        for suffix in ("", ".wal"):
            self.file.with_name(self.file.name + suffix).unlink(missing_ok=True)

    def ask(self, *statements):
        """How many milliseconds they took, and the rows of the last."""
        self.process.stdin.write(json.dumps(statements) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": self.process.stderr.read()}
        if "error" in answer:
            raise SystemExit(f"DuckDB: {answer['error']}")
        return answer["ms"], answer["rows"]

    def load(self, csv):
        self.ask(f"INSERT INTO event SELECT * FROM read_csv('{csv}', header=false, columns={COLUMNS})")
