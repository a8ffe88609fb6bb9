"""The questions that are timed, as the service and as DuckDB are asked them, and how their answers are compared."""

import datetime
import http.client
import json
import time
import urllib.parse
from dataclasses import dataclass

DAY_US = 86_400_000_000
# Zones without summer time, so that DuckDB needs no more than an offset.
ZONES = {"UTC": 0, "Asia/Kolkata": 19_800_000_000}
RANKED = ("route", "method", "status", "instance", "action")


@dataclass
class Range:
    """The last days up to today, in a zone."""
    days: int
    zone: str

    def __post_init__(self):
        self.offset = ZONES[self.zone]
        self.last = int((time.time() * 1e6 + self.offset) // DAY_US)
        self.first = self.last - self.days + 1

    def parameters(self):
        return {"start": date_of(self.first), "end": date_of(self.last), "timezone": self.zone}

    @property
    def day(self):
        return f"(time_us + {self.offset}) // {DAY_US}"

    @property
    def hour(self):
        return f"(time_us + {self.offset}) // {DAY_US // 24}"

    @property
    def rows(self):
        return (f"FROM event WHERE time_us >= {self.first * DAY_US - self.offset}"
                f" AND time_us < {(self.last + 1) * DAY_US - self.offset}")


def date_of(day):
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).isoformat()


def by(columns, numbers, within, more=""):
    return f"SELECT {columns}, {numbers} {within.rows} GROUP BY ALL ORDER BY ALL {more}"


ERRORS = "count(*) FILTER (WHERE status >= 400)"
CLASSES = f"{ERRORS}, count(*) FILTER (WHERE status >= 500)"
QUANTILES = "count(*), min(duration_us), avg(duration_us), max(duration_us), quantile_cont(duration_us, [0.5, 0.9, 0.95, 0.99])"


def summary(within):
    return [by("feature", "count(*), max(time_us)", within),
            f"SELECT count(*), count(DISTINCT user_hash), min(time_us), max(time_us), {ERRORS} {within.rows}"]


def everything(within):
    return [f"SELECT {column}, count(*) {within.rows} GROUP BY 1 ORDER BY 2 DESC LIMIT 20" for column in RANKED] + [
        by("user_kind", "count(DISTINCT user_hash)", within), f"SELECT {QUANTILES} {within.rows}"] + summary(within)


def total(rows, *columns):
    return tuple(sum(int(row[column]) for row in rows) for column in columns)


def sums_of_series(answer):
    return tuple(sum(row[metric] for row in answer["rows"]) for metric in ("events", "errors", "users") if metric in answer["totals"])


# What a series is told apart by, the column, and what is counted then.
EVENTS = f"count(*), {ERRORS}"
CHECK_EVENTS = (sums_of_series, lambda rows: total(rows, 2, 3))
DIMENSIONS = [
    ("feature", "feature", f"{EVENTS}, count(DISTINCT user_hash)", (sums_of_series, lambda rows: total(rows, 2, 3, 4))),
    ("action", "action", EVENTS, CHECK_EVENTS),
    ("route", "route", EVENTS, CHECK_EVENTS),
    ("method", "method", EVENTS, CHECK_EVENTS),
    ("status", "status", EVENTS, CHECK_EVENTS),
    ("class", "status // 100", EVENTS, CHECK_EVENTS),
    ("instance", "instance", "count(*)", None),
    ("user_kind", "user_kind", "count(DISTINCT user_hash)", None),
]


@dataclass
class Question:
    name: str
    path: str
    parameters: dict
    statements: callable  # of DuckDB, for a range
    # What both answers are reduced to and must be the same; None: they are too different.
    of_ours: callable = None
    of_theirs: callable = None


QUESTIONS = [
    Question("daily", "daily", {}, lambda r: [by(f"{r.day}, feature, route, method", f"count(*), {ERRORS}", r)],
             lambda a: (sum(row["count"] for row in a), sum(row["errCount"] for row in a)), lambda rows: total(rows, 4, 5)),
    Question("daily of a feature", "daily", {"feature": "search"},
             lambda r: [f"SELECT {r.day}, route, method, count(*), {ERRORS} {r.rows} AND feature = 'search' GROUP BY ALL ORDER BY ALL"],
             lambda a: (sum(row["count"] for row in a), sum(row["errCount"] for row in a)), lambda rows: total(rows, 3, 4)),
    Question("features", "daily/features", {}, lambda r: [by(f"{r.day}, feature", "count(*), count(DISTINCT user_hash)", r)],
             lambda a: (sum(row["count"] for row in a["rows"]), sum(row["uniqueUsers"] for row in a["rows"])),
             lambda rows: total(rows, 2, 3)),
    Question("summary", "summary", {}, summary, lambda a: (a["eventsTotal"], a["uniqueUsers"]["total"]),
             lambda rows: total(rows, 0, 1)),
    Question("summary of all", "summary", {"include": "all"}, everything,
             lambda a: (a["eventsTotal"], a["uniqueUsers"]["total"]), lambda rows: total(rows, 0, 1)),
    Question("users of a day", "daily/dau", {}, lambda r: [by(r.day, "count(DISTINCT user_hash)", r)],
             lambda a: (sum(row["activeUsers"] for row in a["rows"]),), lambda rows: total(rows, 1)),
    Question("http", "daily/http", {}, lambda r: [by(f"{r.day}, route, method", f"count(*), {CLASSES}", r)]),
    Question("latency", "latency", {"bucket": "day"}, lambda r: [by(f"{r.day}, feature, route, method", QUANTILES, r)]),
    Question("series of hours", "series", {"interval": "hour"},
             lambda r: [by(r.hour, f"count(*), {ERRORS}, count(DISTINCT user_hash)", r)], sums_of_series, lambda rows: total(rows, 1, 2, 3)),
    Question("series of percentiles", "series", {"metrics": "events,avg,p50,p99"}, lambda r: [by(r.day, QUANTILES, r)]),
    *(Question(f"series by {name}", "series", {"by": name, "top": 200},
               lambda r, column=column, numbers=numbers: [by(f"{r.day}, {column}", numbers, r)], *(check or ()))
      for name, column, numbers, check in DIMENSIONS),
]


class Asker:
    """Asks the service over one connection."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.connection.connect()

    def ask(self, question, within):
        """Milliseconds, the status and the body."""
        query = urllib.parse.urlencode(question.parameters | within.parameters())
        began = time.perf_counter()
        self.connection.request("GET", f"/api/v1/stats/{question.path}?{query}")
        answer = self.connection.getresponse()
        body = answer.read()
        return (time.perf_counter() - began) * 1000, answer.status, body


def check_same(question, within, body, rows):
    """Stops when the service counts otherwise than DuckDB."""
    if not question.of_ours:
        return
    ours, theirs = question.of_ours(json.loads(body)), question.of_theirs(rows)
    if ours != theirs:
        raise SystemExit(f"{question.name} over {within.days} days in {within.zone}: we say {ours}, DuckDB {theirs}")
