#!/usr/bin/env python3
"""The recipes of CONTRIBUTING.md, done: tests/recipes/*.patch are applied to a copy of the tree, built and tried.

Each line of code that the document shows must be in the patch, so that what is read is what is built.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tree_copy import make_copy

ROOT = Path(__file__).resolve().parent.parent.parent
COPY = ROOT / "build/recipes"
RECIPES = {"actor": "## Example for the impatient", "question": "## A question"}


def shown_code(heading):
    """The lines of the indented blocks of a section, without their white space."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = text[text.index(heading):].split("\n## ", 1)[0]
    return [squeeze(line) for line in section.splitlines() if re.match(r" {7,}\S", line)]


def squeeze(line):
    return re.sub(r"\s+", " ", line).strip()


def check_document(name):
    added = {squeeze(line[1:]) for line in (ROOT / f"tests/recipes/{name}.patch").read_text().splitlines()
             if line.startswith("+")}
    missing = [line for line in shown_code(RECIPES[name]) if line not in added]
    if missing:
        sys.exit(f"CONTRIBUTING.md shows code that tests/recipes/{name}.patch does not have:\n" + "\n".join(missing))
    if name == "actor" and len(shown_code(RECIPES[name])) < 20:
        sys.exit(f"only {len(shown_code(RECIPES[name]))} lines of code were found in the section {RECIPES[name]}")


def run(command, **more):
    done = subprocess.run(command, cwd=COPY, capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
    return done.stdout


def apply_and_build(name, targets):
    # Not the repository around the copy: it would leave out what is not below it.
    run(["git", "apply", "-C1", str(ROOT / f"tests/recipes/{name}.patch")],
        env=os.environ | {"GIT_CEILING_DIRECTORIES": str(COPY.parent)})
    run(["tools/build", "test", *targets])


def ask_the_question():
    """A day with an event and one without."""
    with tempfile.TemporaryDirectory() as state:
        environment = os.environ | {"APP_SERVER_STATE_DIR": state, "APP_SERVER_PORT": "0"}
        service = subprocess.Popen([COPY / "build/test/server/phi-backend"], env=environment, cwd=state,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        phictl = [COPY / "build/test/tools/phictl/phictl", "--socket", f"{state}/admin.sock"]
        try:
            for _ in range(200):
                if subprocess.run([*phictl, "health"], capture_output=True).returncode == 0:
                    break
                time.sleep(0.05)
            today = time.strftime("%Y-%m-%d", time.gmtime())
            before = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 2 * 86400))
            run([*phictl, "send", "--feature", "f"])
            answer = json.loads(run([*phictl, "--json", "stats", "quiet", "--start", before, "--end", today,
                                     "--timezone", "UTC"]))
            days = [row["date"] for row in answer]
            if before not in days or today in days or len(days) != 2:
                sys.exit(f"the days without events from {before} to {today}, of which only the last has one: {days}")
            if "Days without events" not in run([*phictl, "stats", "--help"]):
                sys.exit("the help of phictl stats does not name the question")
        finally:
            service.send_signal(signal.SIGTERM)
            if service.wait(timeout=30) != 0:
                sys.exit("the service with the question did not stop cleanly")


def main():
    for name in RECIPES:
        check_document(name)
    make_copy(ROOT, COPY)
    apply_and_build("question", ["server/phi-backend", "tools/phictl/phictl"])
    ask_the_question()
    apply_and_build("actor", ["tests/actors_test"])
    out = run(["build/test/tests/actors_test", "-tc=the greeter counts,the whole service*"])
    if not re.search(r"test cases: +7 ", out):
        sys.exit("the cases of the greeter and of the graph did not run:\n" + out)


if __name__ == "__main__":
    main()
