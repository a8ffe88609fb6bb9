#!/usr/bin/env python3
"""Checks the models of the stop (stop.pml) and of the hand-over of batches (hand_over.pml) with Spin.

    tests/model/check.py              the configurations of the gate, then those with a line of the model broken
    tests/model/check.py --large      all configurations, also those that take minutes
    tests/model/check.py WORD...      only what has one of the words in its name
    tests/model/check.py --explain NAME   the steps that lead to the fault which a configuration has

A configuration sets the faults that may happen. All interleavings of the actors, of the faults and of time are gone
through. Works in build/model. Exits 1 when a configuration has a fault, or when nothing notices a broken line.
"""

import argparse
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORK = HERE.parent.parent / "build/model"
LIMIT_SECS = 900
MEMORY_MIB = 6000


@dataclass
class Configuration:
    name: str
    model: str
    faults: dict
    large: bool = False
    without_end: bool = False  # looks for what could go on for ever, instead of the assertions
    before: str = ""           # a line of the model, and what takes its place
    after: str = ""

    @property
    def folder(self):
        return WORK / re.sub(r"\W+", "-", self.name)


def stop(name, large=False, without_end=False, **faults):
    chosen = {"PRESSES": 1, "FREEZES": 0, "DEATHS": 0, "RELOADS": 0, "REQUESTS": 1, "FORCE": 1,
              "ALL_ARE_QUICK": 0} | faults
    return Configuration(f"stop: {name}", "stop", chosen, large, without_end)


def hand_over(name, large=False, without_end=False, **faults):
    chosen = {"SPOOL": 1, "REFUSALS": 1, "DEATHS": 1, "KILLS": 0, "OVERDUES": 1, "STOPS": 1} | faults
    return Configuration(f"hand-over: {name}", "hand_over", chosen, large, without_end)


CONFIGURATIONS = [
    stop("three signals", PRESSES=3),
    stop("somebody is stuck", FREEZES=1),
    stop("somebody is stuck, and nothing is forced", FREEZES=1, FORCE=0),
    stop("somebody dies", DEATHS=1),
    stop("a reload in between", RELOADS=1),
    stop("all are quick, somebody is stuck", FREEZES=1, PRESSES=2, ALL_ARE_QUICK=1),
    stop("all are quick, somebody dies", DEATHS=1, PRESSES=2, ALL_ARE_QUICK=1),
    stop("two requests", REQUESTS=2),
    stop("it cannot go on for ever", without_end=True, ALL_ARE_QUICK=1, FREEZES=1),
    stop("at any pace: it cannot go on for ever", PRESSES=2, without_end=True, large=True),
    stop("somebody is stuck, two signals", FREEZES=1, PRESSES=2, large=True),
    stop("two are stuck", FREEZES=2, large=True),
    stop("somebody dies, two signals", DEATHS=1, PRESSES=2, large=True),
    stop("one dies and another is stuck", DEATHS=1, FREEZES=1, large=True),
    stop("two die, one restart is allowed", DEATHS=2, large=True),
    stop("somebody dies, a reload in between", DEATHS=1, RELOADS=1, large=True),
    stop("somebody dies: it cannot go on for ever", DEATHS=1, without_end=True, large=True),
    hand_over("with a spool"),
    hand_over("without a spool", SPOOL=0),
    hand_over("with a spool, the process is killed", KILLS=1),
    hand_over("without a spool, the process is killed", SPOOL=0, KILLS=1),
    hand_over("with a spool, the store dies for good", FOR_GOOD=1),
    hand_over("without a spool, the store dies for good", SPOOL=0, FOR_GOOD=1),
    hand_over("without a spool, twice as many faults", SPOOL=0, REFUSALS=2, DEATHS=2, OVERDUES=2),
    hand_over("it cannot go on for ever", without_end=True),
    hand_over("with a spool, twice as many faults", REFUSALS=2, DEATHS=2, OVERDUES=2, large=True),
    hand_over("with a spool, killed, twice as many faults", REFUSALS=2, DEATHS=2, KILLS=2, large=True),
]


def broken_ones():
    """mutants.txt: what is broken, the configuration that notices it, a line of the model, what takes its place."""
    by_name = {c.name: c for c in CONFIGURATIONS}
    for line in (HERE / "mutants.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, noticed_by, before, after = (cell.strip().replace("\\n", "\n") for cell in line.split(" ;; "))
            base = by_name[noticed_by]
            yield Configuration(f"broken: {name}", base.model, base.faults, False, base.without_end, before, after)


def run(command, folder, **more):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, **more)


def prepare(what):
    """Writes the model, and compiles its search. Gives what is wrong with it; empty: nothing."""
    shutil.rmtree(what.folder, ignore_errors=True)
    what.folder.mkdir(parents=True)
    text = (HERE / f"{what.model}.pml").read_text()
    if what.before:
        if text.count(what.before) != 1:
            return f"the line is there {text.count(what.before)} times: {what.before}"
        text = text.replace(what.before, what.after)
    chosen = "".join(f"#define {name} {value}\n" for name, value in what.faults.items())
    (what.folder / "model.pml").write_text(chosen + text)
    generated = run(["spin", "-a", "model.pml"], what.folder)
    if not (what.folder / "pan.c").is_file() or "Error" in generated.stdout:
        return generated.stdout
    mode = "-DNP" if what.without_end else "-DSAFETY"
    quick_to_search = what.before or what.model == "hand_over"
    compiled = run(["gcc", "-O0" if quick_to_search else "-O1", "-w", mode, "-DCOLLAPSE", f"-DMEMLIM={MEMORY_MIB}", "-o", "pan", "pan.c"], what.folder)
    return compiled.stderr


def search(what):
    """Gives the number of states and what is wrong with them: an assertion, a cycle; empty: nothing."""
    options = ["-m100000", "-w24"] + (["-l"] if what.without_end else [])
    try:
        found = run(["./pan", *options], what.folder, timeout=LIMIT_SECS).stdout
    except subprocess.TimeoutExpired:
        return 0, f"not done within {LIMIT_SECS} s"
    states = int(re.search(r"(\d+) states, stored", found)[1])
    fault = re.search(r"^pan:\d+: (.*)$", found, re.M)
    if not fault and "Search not completed" in found:
        return states, "the search was not completed"
    return states, fault[1] if fault else ""


def explain(what):
    """The steps to the fault: those that change something."""
    shown = run(["spin", "-t", "-p", "-g", "model.pml"], what.folder).stdout
    seen = {}
    for line in shown.splitlines():
        if line.startswith("\t\t"):
            name, _, value = line.strip().partition(" = ")
            if value and seen.get(name) != value:
                seen[name] = value
                print(f"        {name} = {value}")
        elif "proc" in line and not re.search(r"\[\(1\)\]|else|goto|break|assert", line):
            print(line.rstrip()[:110])


def check(what, should_fail):
    began = time.monotonic()
    wrong = prepare(what)
    if wrong:
        print(f"FAILED   {what.name}: {wrong}")
        return False
    states, fault = search(what)
    good = bool(fault) == should_fail
    verdict = ("caught" if should_fail else "holds") if good else "FAILED"
    print(f"{verdict:8} {what.name}: {states:,} states, {time.monotonic() - began:.0f} s"
          + (f", {fault}" if fault else ""), flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], epilog="\n".join(__doc__.splitlines()[2:]),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--explain", metavar="NAME")
    wanted = parser.parse_args()
    everything = [(c, False) for c in CONFIGURATIONS if wanted.large or wanted.words or not c.large]
    everything += [(c, True) for c in broken_ones()]
    if wanted.explain:
        for what, _ in everything:
            if wanted.explain in what.name:
                print(prepare(what) or search(what)[1] or "there is none")
                explain(what)
                return 0
        print("There is no such configuration", file=sys.stderr)
        return 2
    results = [check(what, fails) for what, fails in everything
               if not wanted.words or any(word in what.name for word in wanted.words)]
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
