#!/usr/bin/env python3
"""Runs the README's tour against the real service and compares what it prints, numbers and ids aside."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def normal(text):
    text = re.sub(r"\d{4}-\d{2}-\d{2}", "DATE", text)
    text = re.sub(r'"requestId":"[^"]*"', '"requestId":"ID"', text)
    # What depends on timing: how far the queue is, what own requests have come in.
    text = re.sub(r'"(progress|drain_per_second|queue_events|queue_bytes|oldest_ms|received|inQueue|backlogSeconds)":[\d.e-]+', r'"\1":N', text)
    text = re.sub(r'"stored":\d+,"duplicates":(\d+),"rejected":(\d+),"spooled"', r'"stored":N,"duplicates":\1,"rejected":\2,"spooled"', text)
    text = re.sub(r'"doing":"[^"]*"', '"doing":"D"', text)
    text = re.sub(r',"backlogSeconds":N', "", text)
    return text.strip()


def tour():
    """(command, expected output) of every console block."""
    for block in re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, expected = part.partition("\n")
            yield command, expected


def main():
    binary = sys.argv[1]
    phictl = Path(binary).parent.parent / "tools/phictl/phictl"
    failures = 0
    with tempfile.TemporaryDirectory(prefix="phi-readme-") as state:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("APP_", "PHI_"))}
        env.update({"APP_SERVER_STATE_DIR": state, "APP_SERVER_PORT": "0"})
        log = open(os.path.join(state, "log"), "w+")
        service = subprocess.Popen([binary], env=env, stderr=log)
        try:
            for _ in range(2000):
                text = Path(log.name).read_text()
                if "is ready" in text or service.poll() is not None:
                    break
                time.sleep(0.01)
            port = re.search(r"port=(\d+)", text).group(1)
            for command, expected in tour():
                command_here = command.replace("localhost:3939", f"localhost:{port}")
                command_here = re.sub(r"^phictl ", f"{phictl} --socket {state}/admin.sock ", command_here)
                out = subprocess.run(["bash", "-c", command_here], capture_output=True, text=True, timeout=30).stdout
                if normal(out) != normal(expected):
                    failures += 1
                    print(f"README.md says of\n  {command}\n  {normal(expected)}\nbut it prints\n  {normal(out)}")
        finally:
            service.send_signal(signal.SIGINT)
            code = service.wait(timeout=30)
        said = Path(log.name).read_text()
        for line in ("begins to stop mode=graceful reason=interrupt", "report actor", "clean stop, ledger balanced"):
            if line not in said:
                failures += 1
                print(f"the log does not say: {line}")
        rows = re.compile(r"report (\w+) +gone ")
        documented = rows.findall((ROOT / "README.md").read_text())
        if rows.findall(said) != documented:
            failures += 1
            print(f"README.md shows the report of {documented}, but the log has {rows.findall(said)}")
        if code != 0:
            failures += 1
            print(f"exit status {code}")
    return 1 if failures else 0


sys.exit(main())
