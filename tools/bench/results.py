"""What was measured: medians and spreads, ratios to what ran beside it, tables, and the comparison of two results.

A result is what `run --output` writes: `benchmarks` by name, in each `measures` by name, in each `ways` (the first is
ours) with their values in the order of the rounds.
"""

import statistics
from dataclasses import asdict, dataclass

OURS = "phi-backend"


@dataclass
class Goal:
    """What a measure shall reach: a bound of its median, its p99, or its ratio to what ran beside it."""
    measure: str
    at_least: bool
    bound: float
    beside: str = None
    of: str = "median"

    def text(self):
        sign = "≥" if self.at_least else "≤"
        if self.beside:
            return f"{sign} {self.bound:g} x {self.beside}"
        return f"{sign} {self.bound:g}" + (" (p99)" if self.of == "p99" else "")


def at_least(measure, bound, beside=None):
    return Goal(measure, True, bound, beside)


def at_most(measure, bound, beside=None, of="median"):
    return Goal(measure, False, bound, beside, of)


class Measured:
    """What one benchmark measures, while it runs."""

    def __init__(self):
        self.measures = {}
        self.notes = []

    def add(self, measure, way, value):
        """One value of one round."""
        self.add_all(measure, way, [value])

    def add_all(self, measure, way, values):
        """Single observations: not one a round."""
        self.measures.setdefault(measure, {}).setdefault(way, []).extend(round(value, 4) for value in values)

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def as_json(self, benchmark, seconds):
        return {"about": benchmark.about, "seconds": round(seconds, 1), "measures": self.measures,
                "goals": [asdict(goal) for goal in benchmark.goals], "notes": self.notes}


def p99(values):
    """The nearest rank: of less than a hundred values, the last."""
    return sorted(values)[max(0, -(-len(values) * 99 // 100) - 1)]


def ratio(ours, theirs):
    """The median of the rounds' ratios; of the medians where the values are not of the same rounds."""
    if len(ours) == len(theirs) and len(ours) < 10:
        return statistics.median(a / b if b else 0 for a, b in zip(ours, theirs))
    return statistics.median(ours) / (statistics.median(theirs) or 1)


def number(value):
    if value >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def edges(values):
    """Between which they lie: all values of a few rounds, the middle half of many observations."""
    if len(values) < 10:
        return min(values), max(values)
    quarter, _, three_quarters = statistics.quantiles(values, n=4)
    return quarter, three_quarters


def spread(values):
    text = number(statistics.median(values))
    if len(values) > 1:
        text += " (%s .. %s)" % tuple(map(number, edges(values)))
    return text


def reached(goal, ways):
    ours = next(iter(ways.values()))
    if goal.beside:
        if goal.beside not in ways:
            return None
        value = ratio(ours, ways[goal.beside])
    else:
        value = p99(ours) if goal.of == "p99" else statistics.median(ours)
    return value >= goal.bound if goal.at_least else value <= goal.bound


def goal_of(benchmark, measure, way):
    """How a goal reads in the row of a way; empty: there is none."""
    out = []
    for goal in (Goal(**fields) for fields in benchmark["goals"]):
        ways = benchmark["measures"][measure]
        if goal.measure == measure and (goal.beside or next(iter(ways))) == way:
            out.append(f"{goal.text()}: {'yes' if reached(goal, ways) else 'no'}")
    return ", ".join(out)


def rows(result):
    """(benchmark, measure, way, spread, p99, ours / this, goal) of each way."""
    for name, benchmark in result["benchmarks"].items():
        for measure, ways in benchmark["measures"].items():
            ours = next(iter(ways.values()))
            for way, values in ways.items():
                beside = f"{ratio(ours, values):.3g}" if values is not ours else ""
                tail = number(p99(values)) if len(values) >= 10 else ""
                yield name, measure, way, spread(values), tail, beside, goal_of(benchmark, measure, way)


def table(cells, head):
    """Columns side by side."""
    lines = [head, *cells]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def print_text(result):
    for name, benchmark in result["benchmarks"].items():
        print(f"{name}: {benchmark['about']} ({benchmark['seconds']:.0f} s)")
        cells = [tuple(row[1:]) for row in rows({"benchmarks": {name: benchmark}})]
        print(table(cells, ("", "", "median (low .. high)", "p99", "ours / this", "goal")))
        for note in benchmark["notes"]:
            print(f"  {note}")
        print(flush=True)


def print_markdown(result):
    print("| benchmark | measure | | median (low .. high) | p99 | ours / this | goal |\n|---|---|---|---|---|---|---|")
    before = None
    for row in rows(result):
        same = [cell if cell != old else "" for cell, old in zip(row[:2], before or ("", ""))]
        if same[0]:
            same[1] = row[1]
        before = row[:2]
        print("| " + " | ".join([*same, *row[2:]]) + " |")
    notes = [f"- {name}: {note}" for name, benchmark in result["benchmarks"].items() for note in benchmark["notes"]]
    print("\n".join(["", describe(result), *(["", *notes] if notes else [])]))


def describe(result):
    """On what, and how, in a line."""
    machine = result["machine"]
    quick = "A smoke run, whose numbers mean nothing. " if result["quick"] else ""
    return (f"{quick}{result['version']}, {result['date']}; {machine['processors']} processors ({machine['processor']}),"
            f" {machine['memory_gib']} GiB, files on {machine['files']}; rounds by turns:"
            f" {result['rounds']}; {result['seconds'] / 60:.1f} minutes in all.")


def print_comparison(old, new):
    """What has changed from one result to another, and what of it lies outside the spread of the rounds."""
    cells = []
    for name, benchmark in new["benchmarks"].items():
        before = old["benchmarks"].get(name, {}).get("measures", {})
        for measure, ways in benchmark["measures"].items():
            theirs = before.get(measure, {})
            for way, values in ways.items():
                if way in theirs:
                    cells.append((name, measure, way, *changed(theirs[way], values), *beside(theirs, ways, way)))
    print(f"old: {describe(old)}\nnew: {describe(new)}\n")
    print(table(cells, ("", "", "", "old", "new", "new / old", "", "ours / this, old -> new")))
    missing = sorted(old["benchmarks"].keys() ^ new["benchmarks"].keys())
    if missing:
        print("\nonly in one of them: " + ", ".join(missing))


def changed(old, new):
    times = statistics.median(new) / (statistics.median(old) or 1)
    (old_low, old_high), (new_low, new_high) = edges(old), edges(new)
    apart = new_low > old_high or new_high < old_low
    return (number(statistics.median(old)), number(statistics.median(new)), f"{times:.2f}",
            "" if apart else "within the spread")


def beside(old, new, way):
    first = next(iter(new))
    if way == first or first not in old:
        return ("",)
    return (f"{ratio(old[first], old[way]):.3g} -> {ratio(new[first], new[way]):.3g}",)
