#!/usr/bin/env python3
"""Does the model of the stop allow what the real service did?

    tests/model/conform.py TRACE EXIT_CODE [FAULTS]

TRACE is what PHI_TRACE=FILE wrote of a run that was stopped. Its steps, as far as the model knows them, are the
broadcast, who was sent `release` and when, who handled it, and who was gone. Spin searches for a run of the model
with just these steps in this order and this exit code; FAULTS are those that it may have, such as DEATHS=1,FREEZES=1.
Exits 1 when there is none. tests/model/conformance_test.py does so with runs of its own.
"""

import json
import sys
import tempfile
from pathlib import Path

from check import Configuration, prepare, search

CHILDREN = ["http", "stats", "reader", "store", "admin"]
STATS = CHILDREN.index("stats")
MODES = {"graceful": 1, "fast": 2}
BROADCAST, RELEASE, LEAVES, DOWN = 1, 2, 3, 4
WORDS = {BROADCAST: "broadcast", RELEASE: "release to", LEAVES: "leaves", DOWN: "down"}


def read_trace(file):
    """A process that was forced to leave has not closed its file."""
    text = Path(file).read_text().rstrip().rstrip(",")
    return json.loads(text if text.endswith("]") else text + "]")


def steps_of(trace):
    """(kind, whom), in order. What the supervisor sends in a handler counts as sent when the handler began: for the
    model that is one step, and in the real process the first may be handled before the last is sent."""
    actors = {e["tid"]: e["args"]["name"] for e in trace if e.get("name") == "thread_name"}
    handled = sorted((e for e in trace if e["ph"] == "X" and e.get("cat") == "message"), key=lambda e: e["ts"])
    of_supervisor = [(e["ts"], e["ts"] + e["dur"]) for e in handled if actors[e["tid"]] == "supervisor"]

    def sent_at(e):
        moment = e["ts"] - e["args"]["waitedUs"]
        within = [began for began, ended in of_supervisor if began <= moment + 0.002 and moment <= ended + 0.002]
        return (within[-1] if within else moment, moment)

    out, released = [], set()
    for e in handled:
        actor, args = actors[e["tid"]], e["args"]
        if actor == "supervisor" and e["name"] == "down" and args["from"] in CHILDREN:
            out.append(((e["ts"], 0), DOWN, CHILDREN.index(args["from"])))
        if e["name"] == "stop" and actor == "http":  # to all, in one handler
            out.append((sent_at(e), BROADCAST, MODES[args["content"].split(",")[0]]))
        if e["name"] == "release" and actor in CHILDREN and actor not in released:
            released.add(actor)
            out.append((sent_at(e), RELEASE, CHILDREN.index(actor)))
            out.append(((e["ts"], 0), LEAVES, CHILDREN.index(actor)))
    steps = [(kind, whom) for _, kind, whom in sorted(out)]
    return leaving_at_once(steps)


def leaving_at_once(steps):
    """For the model, who leaves in its handler of `release` is gone with it. In the real process its DOWN comes when
    CAF has taken it down: of two that leave on two threads, who began first need not be gone first. So it leaves where
    its DOWN is; STATS handles `release` and leaves later, which are two steps. Who is stuck in that handler has not
    taken the step."""
    out, leaving = [], set()
    for kind, whom in steps:
        if kind == LEAVES and whom != STATS:
            leaving.add(whom)
            continue
        if kind == DOWN and whom in leaving:
            leaving.remove(whom)
            out.append((LEAVES, whom))
        if kind != LEAVES or (DOWN, whom) in steps:
            out.append((kind, whom))
    return out


def show(kind, whom):
    who = {value: name for name, value in MODES.items()}[whom] if kind == BROADCAST else CHILDREN[whom]
    return f"{WORDS[kind]} {who}"


def allows(steps, exit_code, faults):
    """Whether the model has such a run."""
    expected = "255"
    for place, (kind, whom) in reversed(list(enumerate(steps))):
        expected = f"(seen == {place} -> {kind * 8 + whom} : {expected})"
    definitions = {"PRESSES": 3, "FREEZES": 0, "DEATHS": 0, "RELOADS": 0, "REQUESTS": 1, "FORCE": 1,
                   "ALL_ARE_QUICK": 1, "OBSERVED": expected, "OBSERVED_STEPS": len(steps), "OBSERVED_EXIT": exit_code} | faults
    what = Configuration(f"observed {tempfile.mktemp(dir='')}", "stop", definitions)
    wrong = prepare(what)
    if wrong:
        sys.exit(wrong)
    states, found = search(what)
    return found != ""


def main():
    if len(sys.argv) not in (3, 4) or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 2
    steps = steps_of(read_trace(sys.argv[1]))
    print("\n".join(show(*step) for step in steps))
    faults = dict(word.split("=") for word in sys.argv[3].split(",")) if len(sys.argv) == 4 else {}
    if allows(steps, int(sys.argv[2]), faults):
        print("The model allows it")
        return 0
    print("The model has no such run")
    return 1


if __name__ == "__main__":
    sys.exit(main())
