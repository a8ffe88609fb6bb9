"""What the benchmarks stand on: series of events, databases that are filled with them, the account that is kept of each."""

import json
import os
import shutil
import sqlite3
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import duck
from phi_bench import Programs, Service
from postgres_server import PostgresServer, programs_of_postgres

CHUNK = 500_000  # events of a file while a database is filled
COUNTED_EACH_TIME = 2_000_000  # rows are counted at every stop up to so many; else by those who measure, at the end


@dataclass
class Scale:
    """How much is measured."""
    rounds: int = 5
    events: int = 150_000  # of a round, 1000 a request
    singles: int = 24_000  # of a round, 1 a request
    stored: int = 1_000_000
    large: int = 10_000_000
    larger: int = 30_000_000
    ask_secs: float = 0.5  # of a round, for each question
    asks: int = 20  # of a round, at most, for each question


QUICK = Scale(rounds=1, events=4000, singles=400, stored=4000, large=12_000, larger=16_000, ask_secs=0.02, asks=2)


class Skipped(Exception):
    """This benchmark cannot be done here."""


@dataclass(frozen=True)
class Series:
    """Events that real_events makes the same again and again."""
    mode: str
    count: int
    seed: int
    until_us: int
    days: float = 0
    skip: int = 0
    take: int = 0

    def options(self):
        more = ["--take", self.take] if self.take else []
        return [str(o) for o in (self.mode, self.count, "--seed", self.seed, "--until-us", self.until_us, "--days", self.days,
                                 "--skip", self.skip, *more)]

    def parts(self):
        for skip in range(0, self.count, CHUNK):
            yield replace(self, skip=skip, take=min(CHUNK, self.count - skip))


class Place:
    """A database, and how many events it must have."""

    def __init__(self, directory):
        self.directory = directory
        self.count = 0
        self.contents = []  # series
        self.rates = []  # events a second while it was filled, part by part
        directory.mkdir()

    def settings(self):
        return {}

    def check(self):
        """Stops if a row is missing or there twice. While no service runs."""
        if (rows := self.rows()) != self.count:
            raise SystemExit(f"{self.count} events were acknowledged, and {rows} rows are stored")

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


class SqlitePlace(Place):
    def rows(self):
        with sqlite3.connect(f"file:{self.directory}/phi.db?mode=ro", uri=True) as db:
            return db.execute("SELECT count(*) FROM event").fetchone()[0]

    def bytes(self):
        return sum(f.stat().st_size for f in self.directory.rglob("*") if f.is_file() and f.name != "log")


class PostgresPlace(Place):
    def __init__(self, directory, server):
        super().__init__(directory)
        self.server = server
        self.name = directory.name.replace("-", "_")
        server.sql(f"CREATE DATABASE {self.name}")

    def settings(self):
        # Without a spool an event is committed or refused.
        return {"APP_STATS_STORAGE": "postgres", "APP_STATS_POSTGRES_URL": self.server.url(self.name), "APP_SPOOL_ENABLED": "false"}

    def rows(self):
        return int(self.server.sql("SELECT count(*) FROM event", self.name))

    def bytes(self):
        return bytes_of_tables(self.server, self.name)

    def remove(self):
        self.server.sql(f"DROP DATABASE {self.name} WITH (FORCE)")
        super().remove()


def bytes_of_tables(server, database):
    return int(server.sql("SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
                          " WHERE relkind = 'r' AND nspname NOT IN ('pg_catalog', 'information_schema')", database))


class Ground:
    """One run of the benchmarks: the directory of its files, what is kept for several of them, progress."""

    def __init__(self, programs: Programs, binary, scale: Scale, duckdb=None, with_duckdb=True):
        self.programs, self.binary, self.scale = programs, binary, scale
        self.files = Path(tempfile.mkdtemp(prefix="phi-bench-"))
        self.duckdb, self.with_duckdb, self.no_duckdb = duckdb, with_duckdb, None
        self.numbers = 0
        self.kept = {}
        self.server = None
        self.began = time.monotonic()
        self.about = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.progress("")
        if self.server:
            self.server.close()
        shutil.rmtree(self.files, ignore_errors=True)

    # -- telling ----------------------------------------------------------------------------------

    def progress(self, text):
        """On a terminal, what is going on now."""
        if sys.stderr.isatty():
            clock = time.monotonic() - self.began
            told = f"{int(clock // 60)}:{int(clock % 60):02} {self.about}: {text}" if text else ""
            print(f"\r\x1b[K{told[:shutil.get_terminal_size().columns - 1]}", end="", file=sys.stderr, flush=True)

    def rounds(self):
        for number in range(1, self.scale.rounds + 1):
            self.progress(f"round {number} of {self.scale.rounds}")
            yield number

    # -- events -----------------------------------------------------------------------------------

    def next_number(self):
        self.numbers += 1
        return self.numbers

    def series(self, mode, count, days=0):
        """Events that end now. No two series have an id in common."""
        return Series(mode, count, self.next_number(), int(time.time() * 1e6) - 5_000_000, days)

    @contextmanager
    def file_of(self, series, *more):
        path = self.files / f"events-{self.next_number()}"
        try:
            self.programs.write_events(path, *series.options(), *more)
            yield path
        finally:
            path.unlink(missing_ok=True)

    # -- databases --------------------------------------------------------------------------------

    def place(self, kind="sqlite"):
        """A fresh database."""
        directory = self.files / f"{kind}-{self.next_number()}"
        return SqlitePlace(directory) if kind == "sqlite" else PostgresPlace(directory, self.postgres())

    @contextmanager
    def fresh(self, kind="sqlite"):
        place = self.place(kind)
        try:
            yield place
        finally:
            place.remove()

    def start(self, place):
        return Service(self.binary, place.directory, APP_STATS_TRACK_REQUESTS="false", **place.settings())

    @contextmanager
    def service(self, place):
        """The service on a database; stopped in the end, and then the rows are counted."""
        with self.start(place) as service:
            yield service
            _, code = service.stop()
            if code != 0:
                raise SystemExit(f"the service ended with {code}:\n{service.log()}")
        if place.count <= COUNTED_EACH_TIME:
            place.check()

    def send(self, service, place, file, series, lines, connections):
        """What the client saw. Each event is acknowledged, and none more than once."""
        seen = self.programs.send(service.port, file, lines, connections)
        place.count += seen["stored"]
        place.contents.append(series)
        return seen

    def fill(self, place, series):
        """Sends a series in parts, with 1000 a request."""
        with self.service(place) as service:
            for part in series.parts():
                self.progress(f"filling: {place.count:,} events of {series.count:,}")
                with self.file_of(part) as file:
                    seen = self.programs.send(service.port, file, 1000, 8)
                place.count += seen["stored"]
                place.rates.append(seen["stored"] / seen["seconds"])
        place.contents.append(series)

    def stored(self, kind, count, days=30):
        """A database with so many events, filled once in this run."""
        key = kind, count, days
        if key not in self.kept:
            place = self.place(kind)
            self.fill(place, self.series("history", count, days))
            self.kept[key] = place
        return self.kept[key]

    def large(self, count):
        """The large database, which grows: first 10 million, then 30."""
        if "large" not in self.kept:
            self.kept["large"] = self.place()
        place = self.kept["large"]
        there = sum(series.count for series in place.contents)
        if there < count:
            self.fill(place, self.series("history", count - there))
        return place

    def postgres(self):
        if not programs_of_postgres():
            raise Skipped("there is no PostgreSQL server here (tools/packages test installs one)")
        if not self.server:
            self.server = PostgresServer()
        return self.server

    def duck(self):
        """DuckDB, or None; then `no_duckdb` says why."""
        if not self.with_duckdb:
            self.no_duckdb = "DuckDB was not asked for"
        elif self.no_duckdb is None:
            self.progress("installing DuckDB")
            directory = Path(self.duckdb or self.files / "duckdb")
            directory.mkdir(exist_ok=True)
            why = duck.install(directory)
            if why is None:
                return duck.Duck(directory, str(self.files / f"duck-{self.next_number()}.db"))
            self.no_duckdb = f"DuckDB could not be installed: {why}"
        return None


def summed_events(port):
    """What the summary says of all events there are."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/stats/summary", timeout=60) as answer:
        return json.load(answer)["eventsTotal"]


def file_system_of(directory):
    """The type of the file system, as the kernel names it."""
    best = ("", "unknown")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        if os.path.commonpath([mount, str(directory)]) == mount and len(mount) >= len(best[0]):
            best = (mount, kind)
    return best[1]
