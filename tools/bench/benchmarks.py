"""The benchmarks by their names. Each goes round and round with what runs beside it (A B A B)."""

import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass, field

from ground import CHUNK, bytes_of_tables, summed_events
from phi_bench import Limit
from questions import QUESTIONS, ZONES, Asker, Range, check_same
from results import OURS, at_least, at_most

RAW, ALONE, COPY, DUCK = "raw INSERT", "RESTinio alone", "COPY by psql", "DuckDB"
FRESH, ROWS = "fresh store", "rows alone"
PLAIN = ("CREATE TABLE plain (seq bigserial PRIMARY KEY, time_us bigint NOT NULL, identity bytea NOT NULL, feature text,"
         " action text, route text, method text, status int, duration_us bigint, user_hash text, user_kind text, instance text)")
PLAIN_COLUMNS = "time_us, identity, feature, action, route, method, status, duration_us, user_hash, user_kind, instance"


@dataclass
class Benchmark:
    name: str
    about: str
    measure: callable  # takes the ground and what is measured
    goals: list = field(default_factory=list)
    large: bool = False  # only with --large, or by name


# -- ways: each takes the same events ---------------------------------------------------------------

def add_seen(out, way, seen):
    out.add("events/s", way, seen["sent"] / seen["seconds"])
    out.add("p99 of an answer, ms", way, seen["p99_ms"])


def ours(ground, out, place, file, series, lines, connections, way=OURS):
    with ground.service(place) as service:
        seen = ground.send(service, place, file, series, lines, connections)
        if place.count <= 1_000_000 and (summed := summed_events(service.port)) != place.count:
            raise SystemExit(f"{place.count} events were acknowledged, and the summary has {summed}")
        add_seen(out, way, seen)
        out.add("MiB resident, most", way, service.status("VmHWM") / 1024)
    return seen


def restinio_alone(ground, out, file, lines, connections):
    with Limit(ground.programs) as limit:
        add_seen(out, ALONE, ground.programs.send(limit.port, file, lines, connections, "--expect", "status"))


def raw_insert(ground, series, lines):
    """Rows a second, and the bytes of the database."""
    database = ground.files / "raw.db"
    try:
        rate = subprocess.run([ground.programs.path("raw_insert"), str(database), *series.options(), "--batch", str(lines)],
                              check=True, capture_output=True, text=True).stdout
        return float(rate), database.stat().st_size
    finally:
        for suffix in ("", "-wal", "-shm"):
            database.with_name("raw.db" + suffix).unlink(missing_ok=True)


def copy(ground, series):
    """Rows a second, and the bytes of the table with its index."""
    server = ground.postgres()
    with ground.file_of(series, "--csv") as csv:
        server.sql("CREATE DATABASE plain")
        try:
            server.sql(PLAIN, "plain")
            server.sql("CHECKPOINT")
            took = server.timed(f"\\copy plain({PLAIN_COLUMNS}) FROM '{csv}' CSV", "plain")
            return (series.take or series.count) / took, bytes_of_tables(server, "plain")
        finally:
            server.sql("DROP DATABASE plain")


# -- taking events ----------------------------------------------------------------------------------

def lines(mode, share=1):
    """1000 a request over 8 connections; `share` of the usual number where that takes long."""
    def measure(ground, out):
        for _ in ground.rounds():
            series = ground.series(mode, int(ground.scale.events * share))
            with ground.file_of(series) as file:
                with ground.fresh() as place:
                    seen = ours(ground, out, place, file, series, 1000, 8)
                out.add("events/s", RAW, raw_insert(ground, series, 1000)[0])
                restinio_alone(ground, out, file, 1000, 8)
        out.note(f"the client took {seen['processor_share']:.1%} of a processor in the last round")
    return measure


def singles(connections):
    def measure(ground, out):
        for _ in ground.rounds():
            series = ground.series("live", ground.scale.singles)
            with ground.file_of(series) as file:
                with ground.fresh() as place:
                    ours(ground, out, place, file, series, 1, connections)
                restinio_alone(ground, out, file, 1, connections)
    return measure


def lines_on(size):
    """The same on a store that has much, beside a fresh one."""
    return on_large(size, lambda scale: ("history", scale.events), 1000, 8, raw=True)


def singles_on(size, connections):
    return on_large(size, lambda scale: ("live", scale.singles // 2), 1, connections)


def on_large(size, events_of, lines_each, connections, raw=False):
    def measure(ground, out):
        large = ground.large(getattr(ground.scale, size))
        for _ in ground.rounds():
            series = ground.series(*events_of(ground.scale))
            with ground.file_of(series) as file:
                ours(ground, out, large, file, series, lines_each, connections)
                with ground.fresh() as place:
                    ours(ground, out, place, file, series, lines_each, connections, FRESH)
                if raw:
                    out.add("events/s", RAW, raw_insert(ground, series, lines_each)[0])
        large.check()
        out.note(f"{large.count:,} events are stored in the end; while it was filled: {large.rates[0]:,.0f} events/s in the"
                 f" first {CHUNK:,}, {large.rates[-1]:,.0f} in the last")
    return measure


def commits_on(size):
    """One connection, so that each answer waits for a commit of its own."""
    def measure(ground, out):
        large = ground.large(getattr(ground.scale, size))
        for _ in ground.rounds():
            series = ground.series("history", ground.scale.events // 2)
            with ground.file_of(series) as file:
                for way, place in ((OURS, large), (FRESH, None)):
                    with ExitStack() as stack:
                        place = place or stack.enter_context(ground.fresh())
                        with ground.service(place) as service:
                            seen = ground.send(service, place, file, series, 1000, 1)
                            for what, key in (("p50, ms", "p50_ms"), ("p99, ms", "p99_ms"), ("longest, ms", "max_ms")):
                                out.add(what, way, seen[key])
        large.check()
    return measure


def postgres_lines(ground, out):
    for _ in ground.rounds():
        series = ground.series("history", ground.scale.events // 2)
        with ground.file_of(series) as file:
            with ground.fresh("postgres") as place:
                ground.postgres().sql("CHECKPOINT")
                ours(ground, out, place, file, series, 1000, 8)
            out.add("events/s", COPY, copy(ground, series)[0])


def postgres_singles(connections):
    def measure(ground, out):
        for _ in ground.rounds():
            series = ground.series("live", ground.scale.singles // 3)
            with ground.file_of(series) as file:
                with ground.fresh("postgres") as place:
                    ours(ground, out, place, file, series, 1, connections)
                restinio_alone(ground, out, file, 1, connections)
    return measure


# -- questions --------------------------------------------------------------------------------------

def questions(place_of, days):
    def measure(ground, out):
        place = place_of(ground)
        with ExitStack() as stack:
            theirs = ground.duck()
            if theirs:
                stack.enter_context(theirs)
                load(ground, theirs, place)
            else:
                out.note(ground.no_duckdb)
            for number in ground.rounds():
                ask_all(ground, out, place, theirs, days, number)
        place.check()
    return measure


def stored(kind, size, days=30):
    return lambda ground: ground.stored(kind, getattr(ground.scale, size), days)


def load(ground, theirs, place):
    for series in place.contents:
        for part in series.parts():
            ground.progress("DuckDB reads the same rows")
            with ground.file_of(part, "--csv") as csv:
                theirs.load(csv)
    theirs.ask("CHECKPOINT")


def ask_all(ground, out, place, theirs, days, number):
    """A round. There are new events in each, so that no answer is an old one."""
    series = ground.series("live", 1000)
    with ground.service(place) as service:
        with ground.file_of(series) as file, ground.file_of(series, "--csv") as csv:
            ground.send(service, place, file, series, 1000, 1)
            if theirs:
                theirs.load(csv)
        asker = Asker(service.port)
        for question in QUESTIONS:
            if ask_one(ground, out, asker, question, days) and theirs:
                ask_theirs(ground, out, asker, theirs, question, days, check=number == 1)


def again(ground, ask):
    """Asks in all zones by turns until there are enough answers or time is up. The first warms up; if it takes
    longer than there is time, it is all there is."""
    zones = list(ZONES)
    limit = ground.scale.ask_secs * 1000
    if (first := ask(zones[0])) > limit:
        return [first]
    times = []
    while len(times) < ground.scale.asks and sum(times) < limit:
        times.append(ask(zones[len(times) % len(zones)]))
    return times


def ask_one(ground, out, asker, question, days):
    """False: this service does not know the question."""
    def once(zone):
        ms, status, body = asker.ask(question, Range(days, zone))
        if status == 404:
            raise LookupError
        if status == 503:
            out.note(f"{question.name}: answered 503 when its time was up")
        elif status != 200:
            raise SystemExit(f"{question.name}: {status} {body.decode(errors='replace')}")
        return ms

    try:
        out.add_all(f"{question.name}, ms", OURS, again(ground, once))
        return True
    except LookupError:
        out.note(f"{question.name}: this service has no /stats/{question.path}")
        return False


def ask_theirs(ground, out, asker, theirs, question, days, check):
    out.add_all(f"{question.name}, ms", DUCK,
                again(ground, lambda zone: theirs.ask(*question.statements(Range(days, zone)))[0]))
    if check:
        for zone in ZONES:
            within = Range(days, zone)
            _, status, body = asker.ask(question, within)
            if status == 200:
                check_same(question, within, body, theirs.ask(*question.statements(within))[1])


# -- disk, memory, kill -9 --------------------------------------------------------------------------

def disk(kind):
    def measure(ground, out):
        place = ground.stored(kind, ground.scale.stored)
        series = place.contents[0]
        plain = raw_insert(ground, series, 1000)[1] if kind == "sqlite" else copy(ground, series)[1]
        out.add("bytes an event", OURS, place.bytes() / place.count)
        out.add("bytes an event", ROWS, plain / series.count)
    return measure


def disk_large(ground, out):
    place = ground.large(ground.scale.large)
    series = ground.series("history", ground.scale.stored)
    out.add("bytes an event", OURS, place.bytes() / place.count)
    out.add("bytes an event", ROWS, raw_insert(ground, series, 1000)[1] / series.count)


def kill(ground, out):
    """Killed while it takes events; then the same are sent again, and each counts once."""
    place = ground.large(ground.scale.large)
    for _ in ground.rounds():
        series = ground.series("history", ground.scale.events // 3)
        with ground.file_of(series) as file:
            with ground.start(place) as service:
                client = ground.programs.start_sending(service.port, file, 1000, 8, "--until-broken")
                try:
                    client.wait(0.3)
                except subprocess.TimeoutExpired:
                    pass
                service.kill()
                before = ground.programs.sent(client)
            with ground.start(place) as service:
                out.add("from exec to ready, ms", OURS, (service.ready - service.began) * 1000)
                after = ground.programs.send(service.port, file, 1000, 8, "--expect", "either")
                if after["duplicates"] < before["stored"]:
                    raise SystemExit(f"{before['stored']} events were acknowledged before the kill, and {after['duplicates']} are there")
                place.count += series.count
                place.contents.append(series)
                service.stop()
        place.check()


def memory(kind):
    def measure(ground, out):
        for _ in ground.rounds():
            some = ground.series("history", ground.scale.events // 2)
            single = ground.series("live", ground.scale.singles // 3)
            with ground.fresh(kind) as place, ground.service(place) as service:
                out.add("MiB at rest, fresh", OURS, service.status("VmRSS") / 1024)
                for series, lines_each, connections in ((some, 1000, 8), (single, 1, 512)):
                    with ground.file_of(series) as file:
                        ground.send(service, place, file, series, lines_each, connections)
                out.add("MiB under load, most", OURS, service.status("VmHWM") / 1024)
                time.sleep(1)
                out.add("MiB at rest after it", OURS, service.status("VmRSS") / 1024)
    return measure


# -- the list ---------------------------------------------------------------------------------------

def question_goals(ms, stat="p99", ahead=True):
    goals = []
    for question in QUESTIONS:
        goals.append(at_most(f"{question.name}, ms", ms, of=stat))
        if ahead:
            goals.append(at_most(f"{question.name}, ms", 1, DUCK))
    return goals


LINES = "1000 a request, 8 connections"
BENCHMARKS = [
    Benchmark("sqlite-lines", f"{LINES}, 30 days in order", lines("history"),
              [at_least("events/s", 0.45, RAW)]),
    Benchmark("sqlite-live", f"{LINES}, of the last minutes", lines("live"), [at_least("events/s", 0.45, RAW)]),
    Benchmark("sqlite-backfill", f"{LINES}, 30 days in random order", lines("backfill", 0.5)),
    Benchmark("sqlite-bomb", f"{LINES}, 100 000 routes", lines("bomb", 0.5)),
    Benchmark("sqlite-constant", f"{LINES}, always the same event, without id: a lower bound", lines("constant")),
    Benchmark("sqlite-single-64", "1 a request, 64 connections", singles(64), [at_least("events/s", 0.40, ALONE)]),
    Benchmark("sqlite-single-512", "1 a request, 512 connections", singles(512), [at_least("events/s", 0.65, ALONE)]),
    Benchmark("sqlite-memory", "resident memory, then load by both kinds of requests", memory("sqlite"),
              [at_most("MiB under load, most", 64)]),
    Benchmark("sqlite-questions", "questions over 30 days, 1 million events",
              questions(stored("sqlite", "stored"), 30), question_goals(30)),
    Benchmark("sqlite-year", "questions over 366 days, 1 million events",
              questions(stored("sqlite", "stored", 366), 366), question_goals(150, ahead=False)),
    Benchmark("sqlite-disk", "bytes on disk, 1 million events, after a stop", disk("sqlite"),
              [at_most("bytes an event", 1.2, ROWS)]),
    Benchmark("postgres-lines", f"{LINES}, 30 days in order", postgres_lines, [at_least("events/s", 0.35, COPY)]),
    Benchmark("postgres-single-64", "1 a request, 64 connections", postgres_singles(64)),
    Benchmark("postgres-memory", "resident memory of the service, then load by both kinds of requests", memory("postgres"),
              [at_most("MiB under load, most", 80)]),
    Benchmark("postgres-questions", "questions over 30 days, 1 million events",
              questions(stored("postgres", "stored"), 30), question_goals(30)),
    Benchmark("postgres-disk", "bytes on disk, 1 million events", disk("postgres")),
    Benchmark("sqlite-lines-10m", f"{LINES}, 10 million stored", lines_on("large"),
              [at_least("events/s", 0.75, FRESH)]),
    Benchmark("sqlite-commit-10m", "1000 a request, 1 connection: a commit each, 10 million stored", commits_on("large"),
              [at_most("p99, ms", 50)]),
    Benchmark("sqlite-single-64-10m", "1 a request, 64 connections, 10 million stored",
              singles_on("large", 64), [at_least("events/s", 0.9, FRESH)]),
    Benchmark("sqlite-single-512-10m", "1 a request, 512 connections, 10 million stored",
              singles_on("large", 512), [at_least("events/s", 0.9, FRESH)]),
    Benchmark("sqlite-kill-10m", "start after kill -9 under load, 10 million stored", kill,
              [at_most("from exec to ready, ms", 300)]),
    Benchmark("sqlite-disk-10m", "bytes on disk, 10 million events, after a stop", disk_large,
              [at_most("bytes an event", 1.2, ROWS)]),
    Benchmark("sqlite-questions-10m", "questions over 30 days, 10 million events",
              questions(lambda ground: ground.large(ground.scale.large), 30), question_goals(50), large=True),
    Benchmark("sqlite-year-10m", "questions over 366 days, 10 million events",
              questions(stored("sqlite", "large", 366), 366), question_goals(150, ahead=False), large=True),
    Benchmark("postgres-questions-10m", "questions over 30 days, 10 million events",
              questions(stored("postgres", "large"), 30), question_goals(50), large=True),
    Benchmark("sqlite-lines-30m", f"{LINES}, 30 million stored", lines_on("larger"),
              [at_least("events/s", 0.75, FRESH)], large=True),
    Benchmark("sqlite-commit-30m", "1000 a request, 1 connection: a commit each, 30 million stored", commits_on("larger"),
              [at_most("p99, ms", 50)], large=True),
]
