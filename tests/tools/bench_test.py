#!/usr/bin/env python3
"""tools/bench: its events are what they say, its client notices what is lost, and all its benchmarks run.

    tests/tools/bench_test.py BUILD-DIRECTORY

Nothing is held against a clock.
"""

import csv
import io
import json
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools/bench"))

from ground import SqlitePlace  # noqa: E402
from phi_bench import Limit, Programs, Service  # noqa: E402
from results import Goal, p99, ratio, reached  # noqa: E402

UNTIL = ["--until-us", "1790000000000000"]
SHAPES = {"web": r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", "bots": r"r\d+:\d+",
          "game": r"[0-9A-HJKMNP-TV-Z]{26}", "import": r"[0-9a-f]{32}"}


def expect(good, what):
    if not good:
        sys.exit(f"FAILED: {what}")


def made(programs, *options):
    return subprocess.run([programs.path("real_events"), *map(str, options), *UNTIL], check=True, capture_output=True, text=True).stdout


def events_are_what_they_say(programs):
    history = made(programs, "history", 20_000)
    expect(history == made(programs, "history", 20_000), "the same wishes make the same events")
    expect(history != made(programs, "history", 20_000, "--seed", 2), "another seed makes others")
    parts = made(programs, "history", 20_000, "--take", 7000) + made(programs, "history", 20_000, "--skip", 7000)
    expect(history == parts, "parts of a series are the series")
    events = [json.loads(line) for line in history.splitlines()]
    expect(len(events) == 20_000, "so many as were wished for")
    times = [event["time"] for event in events]
    expect([t[:19] for t in times] == sorted(t[:19] for t in times), "a history is in order")
    expect(times[0][:10] == "2026-08-22" and times[-1][:10] == "2026-09-21", f"30 days, not {times[0]} to {times[-1]}")
    ways = defaultdict(set)
    for event in events:
        ways[event["route"]].add((event["feature"], event["action"], event["method"]))
        expect(re.fullmatch(SHAPES[event["source"]], event["id"]), f"{event['id']} is an id as {event['source']} makes them")
    expect(len(ways) == 40 and all(len(way) == 1 for way in ways.values()), "40 routes decide feature, action and method")
    expect({event["source"] for event in events} == SHAPES.keys(), "all kinds of senders")
    users = defaultdict(int)
    for event in events:
        users[event["userHash"]] += 1
    expect(max(users.values()) > 1000 and len(users) > 3000, "few users do much, many do little")
    noon = sum(10 <= int(t[11:13]) < 14 for t in times)
    expect(noon > 3 * sum(int(t[11:13]) in (22, 23, 0, 1) for t in times), "more by day than by night")


def modes_differ(programs):
    backfill = [json.loads(line) for line in made(programs, "backfill", 20_000).splitlines()]
    expect(len({(e["source"], e["id"]) for e in backfill}) == 20_000, "each id once")
    expect(len({e["time"][:10] for e in backfill[:1000]}) > 25, "a backfill comes in no order")
    live = [json.loads(line) for line in made(programs, "live", 1000).splitlines()]
    expect(live[0]["time"] > "2026-09-21T14:09" and live[-1]["time"] < "2026-09-21T14:13:20.1", "the last minutes only")
    bomb = re.findall(r'"route":"([^"]*)"', made(programs, "bomb", 100_000))
    expect(len(set(bomb)) == 100_000, "a bomb has 100 000 routes")
    expect(len(set(made(programs, "constant", 10).splitlines())) == 1, "a constant event is always the same")
    rows = list(csv.reader(io.StringIO(made(programs, "history", 5000, "--csv"))))
    events = [json.loads(line) for line in made(programs, "history", 5000).splitlines()]
    for row, event in zip(rows, events, strict=True):
        same = (row[2:6], row[6], row[8]) == ([event[k] for k in ("feature", "action", "route", "method")], str(event["status"]), event["userHash"])
        expect(same and int(row[7]) == round(event["durationMs"] * 1000), f"a row {row} of its event {event}")


def send(programs, port, file, *options):
    done = subprocess.run([programs.path("ingest_client"), str(port), str(file), *options], capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def client_notices(programs, files):
    file = files / "events"
    programs.write_events(file, "history", 2500)
    with Limit(programs) as limit:  # says of every request that one event was stored
        code, seen = send(programs, limit.port, file)
        expect(code == 1 and seen["wrong"] == 3 and '"stored":1' in seen["first_wrong"], f"997 events lost of 1000: {code} {seen}")
        code, seen = send(programs, limit.port, file, "--lines", "1")
        expect(code == 0 and seen["stored"] == seen["sent"] == seen["requests"] == 2500, f"2500 acknowledged: {code} {seen}")
        expect(send(programs, limit.port, file, "--expect", "status")[0] == 0, "only the status was asked for")
    with Service(programs.service) as service:
        code, seen = send(programs, service.port, file)
        expect(code == 0 and (seen["stored"], seen["sent"], seen["requests"]) == (2500, 2500, 3), f"all stored: {code} {seen}")
        code, seen = send(programs, service.port, file)
        expect(code == 1 and seen["wrong"] == 3, f"none is stored twice: {code} {seen}")
        code, seen = send(programs, service.port, file, "--lines", "100", "--expect", "duplicates")
        expect(code == 0 and seen["duplicates"] == 2500, f"all known: {code} {seen}")
        service.stop()


def rows_are_counted(files):
    place = SqlitePlace(files / "place")
    with sqlite3.connect(place.directory / "phi.db") as db:
        db.execute("CREATE TABLE event (seq INTEGER PRIMARY KEY)")
        db.execute("INSERT INTO event VALUES (1), (2), (4)")
    place.count = 3
    place.check()
    for count in (2, 4):
        place.count = count
        try:
            place.check()
        except SystemExit as e:
            expect(str(e) == f"{count} events were acknowledged, and 3 rows are stored", f"it says which: {e}")
        else:
            expect(False, f"{count} events in 3 rows were noticed")


def numbers_are_right():
    expect(p99(list(range(1, 101))) == 99 and p99([3, 1, 2]) == 3, "p99 is the nearest rank")
    expect(ratio([10, 20, 30], [20, 20, 20]) == 1 and ratio([1, 1], [2]) == 0.5, "ratios of the rounds, or of the medians")
    ways = {"phi-backend": [40, 60], "limit": [100, 100]}
    expect(reached(Goal("m", True, 0.5, "limit"), ways) and not reached(Goal("m", True, 0.51, "limit"), ways), "half of a limit")
    expect(reached(Goal("m", False, 60, None, "p99"), ways) and not reached(Goal("m", False, 59, None, "p99"), ways), "a p99")
    expect(reached(Goal("m", True, 1, "nobody"), ways) is None, "a limit that could not run")


def run(*options):
    return subprocess.run([ROOT / "tools/bench/run", *map(str, options)], capture_output=True, text=True)


def all_benchmarks_run(programs, files):
    listed = [line.split()[0] for line in run("--list").stdout.splitlines() if not line.endswith("(large)")]
    expect(len(listed) > 20, "a list of the benchmarks")
    kept = files / "kept.json"
    done = run("--quick", "--programs", programs.directory, "--output", kept)
    expect(done.returncode == 0, f"a smoke run ends well:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    result = json.loads(kept.read_text())
    expect(list(result["benchmarks"]) == listed, f"all benchmarks ran: {list(result['benchmarks'])}")
    for name, benchmark in result["benchmarks"].items():
        skipped = any(note.startswith("skipped: ") for note in benchmark["notes"])
        expect(skipped and name.startswith("postgres") or benchmark["measures"], f"{name} measured something")
        for measure, ways in benchmark["measures"].items():
            expect(all(value > 0 for values in ways.values() for value in values), f"{name}, {measure}: {ways}")
        missing = {goal["measure"] for goal in benchmark["goals"]} - benchmark["measures"].keys()
        told = " ".join(benchmark["notes"])
        expect(skipped or all(m.removesuffix(", ms") in told for m in missing), f"{name} has goals of what it does not measure: {missing}")
    table = run("--show", kept, "--markdown").stdout
    expect(all(f"| {name} |" in table for name in listed), f"a table in Markdown:\n{table}")
    same = run("--compare", kept, kept)
    expect(same.returncode == 0 and same.stdout.count(" 1.00  ") > 40, f"nothing has changed:\n{same.stdout}\n{same.stderr}")
    wrong = run("sqlite-line")
    expect(wrong.returncode == 2 and "there is no benchmark 'sqlite-line'" in wrong.stderr, f"an unknown name: {wrong.stderr}")
    wrong = run("--show", programs.path("run"))
    expect(wrong.returncode == 1 and "is no result" in wrong.stderr, f"no result: {wrong.stderr}")


def main():
    programs = Programs(sys.argv[1])
    numbers_are_right()
    events_are_what_they_say(programs)
    modes_differ(programs)
    with tempfile.TemporaryDirectory(prefix="phi-bench-test-") as files:
        client_notices(programs, Path(files))
        rows_are_counted(Path(files))
        all_benchmarks_run(programs, Path(files))
    print("The benchmarks work.")


main()
