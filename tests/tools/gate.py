"""The steps of tools/test: what is built, what is run on it, and what may run side by side.

Most drills wait most of the time. So some run side by side, and the next flavour is built meanwhile with
the processor time that they leave (SCHED_IDLE). A program that measures times runs while no other test does
(tests/programs.txt). Results are printed in the order of the list.
"""

import argparse
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build"
RESULTS = BUILD / "test-results"
CASES = re.compile(r"^\[doctest\] test cases: *\d+ \| *(\d+) passed \| *(\d+) failed \| *(\d+) skipped", re.M)
SKIPPED = 77  # the exit status of a step that cannot be run here; its last line says why
LIMIT_SECS = 1500
FUZZ_SECS = 60
SOAK_MINUTES = 3
SOAK_SEED = 1  # the same faults at every run; tests/e2e/soak takes others
SIMULATION_SEEDS = 4000  # from 1 on; build/test/tests/simulate takes others

ASAN = {"ASAN_OPTIONS": "detect_stack_use_after_return=1:abort_on_error=0",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "LSAN_OPTIONS": f"suppressions={ROOT}/tests/lsan.supp:print_suppressions=0"}
# A longer history: else the stack of what CAF wrote may be lost, and its suppression with it.
TSAN = {"TSAN_OPTIONS": f"suppressions={ROOT}/tests/tsan.supp:history_size=7"}
# The drills read the service's reports themselves (tests/support/service_process.cpp).
TSAN_DRILL = {"TSAN_OPTIONS": TSAN["TSAN_OPTIONS"] + ":exitcode=0"}
SERVICE = ["server/phi-backend", "tools/phictl/phictl", "tools/phictl/phictl.1", "tools/phictl/phictl.bash",
           "tools/phictl/_phictl"]  # what the drills look at


@dataclass
class Program:
    """A line of tests/programs.txt."""
    name: str
    how: set
    cases: dict  # flavour -> doctest's patterns, or "all", or "-"

    def is_drill(self):
        return self.name.endswith("_drill")


@dataclass
class Step:
    """Something that is run once and counts: a doctest program by its cases, else by its exit status."""
    name: str
    command: list
    needs: str = "test"  # the build that must be there
    alone: bool = False
    by_cases: bool = False
    env: dict = field(default_factory=dict)
    idle: bool = False  # takes all the processor time it can get: only what others leave
    shows: str = ""  # lines of what it prints, as a pattern, that are shown when it is good
    code: int = None
    secs: float = 0
    counted: tuple = None

    @property
    def log(self):
        return RESULTS / (re.sub(r"[ /]", "-", self.name) + ".log")


@dataclass
class Build:
    """One flavour; later ones are built while tests run."""
    name: str
    command: list
    done: threading.Event = field(default_factory=threading.Event)
    code: int = None
    secs: float = 0


def programs():
    """In the order in which they run: units, then the drills that run alone, so that nobody waits for the others."""
    out = []
    for line in (ROOT / "tests/programs.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, how, asan, tsan = (cell.strip() for cell in line.split("|"))
            out.append(Program(name, set(how.split()), {"test": "all", "asan": asan, "tsan": tsan}))
    return sorted(out, key=lambda program: (program.is_drill(), "alone" not in program.how))


def run_program(program, flavour):
    """The step that runs a program of tests/programs.txt on one flavour. The drills see the service from
    outside: those of the test build drill the service of every flavour."""
    cases = program.cases[flavour]
    home = BUILD / ("test" if program.is_drill() else flavour) / "tests"
    env = {}
    if flavour == "asan":
        env = ASAN
    if flavour == "tsan":
        env = TSAN_DRILL if program.is_drill() else TSAN
    if program.is_drill() and flavour != "test":
        env = env | {"PHI_TEST_BINARY": str(BUILD / flavour / SERVICE[0])}
    return Step(name=program.name if flavour == "test" else f"{flavour} {program.name}",
                command=[str(home / program.name)] + ([] if cases == "all" else ["-tc=" + cases]),
                needs=flavour, alone="alone" in program.how, by_cases=True, env=env)


def steps_of(flavour):
    return [run_program(p, flavour) for p in programs() if p.cases[flavour] != "-"]


def targets_of(flavour):
    units = [f"tests/{p.name}" for p in programs() if not p.is_drill() and p.cases[flavour] != "-"]
    return SERVICE + units


def all_steps(quick):
    readme = Step("the tour of README.md", ["python3", "tests/tools/readme_test.py", "build/test/server/phi-backend"],
                  alone=True)  # on the default port
    openapi = Step("answers, held against /openapi.json",
                   ["python3", "tests/tools/openapi_test.py", "build/test/server/phi-backend"])
    first = [Step("tidy", ["tools/tidy"]), Step("tidy's own test", ["python3", "tests/tools/tidy_test.py"]), readme, openapi]
    plain = [run_program(p, "test") for p in programs() if not quick or "quick" in p.how]
    if quick:
        return first + plain
    systemd = [
        Step("systemd_drill", ["tests/systemd/run", str(BUILD / "test/tests/systemd_drill")], by_cases=True, alone=True),
        Step("the deployment guide", ["tests/systemd/run", str(ROOT / "tests/systemd/guide_inside"), str(ROOT),
                                      str(BUILD / "test")]),
        Step("notify-reload on a newer systemd", ["tests/systemd/newer_debian", "build/test"]),
        Step("the Debian package, installed, upgraded, purged",
             ["bash", "-c", 'exec tests/systemd/run "$PWD/tests/systemd/package_inside" "$PWD"/build/deb/phi-backend_*.deb'],
             needs="deb"),
    ]
    fuzz = Step(f"fuzz the event reader for {FUZZ_SECS} s",
                ["build/fuzz/tests/event_reader_fuzz", f"-max_total_time={FUZZ_SECS}", "-max_len=4096", "-timeout=25",
                 "-rss_limit_mb=2048", "build/corpus", "tests/server/api/fuzz_corpus"], needs="fuzz", idle=True)
    soak = Step(f"random faults for {SOAK_MINUTES} minutes",
                ["build/test/tests/soak_drill", "--minutes", str(SOAK_MINUTES), "--seed", str(SOAK_SEED)])
    simulation = Step("the whole service from seeds",
                      ["build/test/tests/simulate", "--seeds", str(SIMULATION_SEEDS), "--trace", str(RESULTS / "simulation.json")],
                      shows=r"^(?:\d+ seeds|fault kinds covered).*")
    recipes = Step("the recipes of CONTRIBUTING.md", ["python3", "tests/tools/recipes_test.py"], idle=True)
    models = Step("the models of the stop and of the hand-over", ["python3", "tests/model/check.py"], idle=True)
    conformance = Step("the service's stops, held against the model",
                       ["python3", "tests/model/conformance_test.py", "build/test/server/phi-backend"])
    bench = Step("the benchmarks, on a few events", ["python3", "tests/tools/bench_test.py", "build/test"])
    return first + plain + systemd + [simulation, soak, recipes, models, conformance, bench] + steps_of("asan") + steps_of("tsan") + [fuzz]


def all_builds(quick):
    builds = [Build("test", ["tools/build", "test"])]
    if quick:
        return builds
    return builds + [
        Build("release", ["tools/build", "release"]),
        Build("deb", ["deploy/build-deb"]),  # the same objects as release, from ccache; checked by lintian
        Build("asan", ["tools/build", "asan"] + targets_of("asan")),
        Build("tsan", ["tools/build", "tsan"] + targets_of("tsan")),
        Build("fuzz", ["tools/build", "fuzz"]),
    ]


def only_what_is_left():
    """For a process that shall have the processor only while nobody else wants it."""
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except OSError:
        os.nice(19)


class Gate:
    def __init__(self, builds, steps, jobs):
        self.builds, self.steps, self.jobs = {b.name: b for b in builds}, steps, jobs
        self.turn = threading.Condition()
        self.running = []
        self.processes = set()
        self.ended = []
        self.passed = self.failed = self.skipped = 0

    def execute(self, command, log, env=None, idle=False):
        """Runs a command to its end; gives its status and how long it took."""
        began = time.monotonic()
        with open(log, "w") as out:
            process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                       env=os.environ | (env or {}), preexec_fn=only_what_is_left if idle else None)
            self.processes.add(process)
            code = process.wait()
            self.processes.discard(process)
        return code, time.monotonic() - began

    def build_all(self):
        for number, build in enumerate(self.builds.values()):
            log = RESULTS / f"build-{build.name}.log"
            build.code, build.secs = self.execute(build.command, log, idle=number > 0)
            with self.turn:
                build.done.set()
                self.turn.notify_all()
                self.count_build(build, log)

    def count_build(self, build, log):
        self.ended.append((build.secs, f"build {build.name}"))
        if build.code == 0:
            self.passed += 1
            print(f"ok      build {build.name}, {build.secs:.0f} s", flush=True)
        else:
            self.failed += 1
            print(f"FAILED  build {build.name}, {build.secs:.0f} s\n{tail(log, 60)}", flush=True)

    def may_start(self, step):
        """With the lock. A step alone waits until the others have ended, and holds up those behind it."""
        if step.alone:
            return not self.running
        return len(self.running) < self.jobs and not any(other.alone for other in self.running)

    def next_step(self):
        """The first that has not begun and whose build is there; None: there is none now."""
        for step in self.steps:
            if step.code is None and step not in self.running and self.builds[step.needs].done.is_set():
                return step if self.may_start(step) else None
        return None

    def run_step(self, step):
        if self.builds[step.needs].code != 0:
            code, secs = 1, 0.0
            step.log.write_text(f"its build ({step.needs}) failed\n")
        else:
            code, secs = self.execute(["timeout", "-k", "20", str(LIMIT_SECS), *step.command], step.log, step.env, step.idle)
        with self.turn:
            step.code, step.secs = code, secs
            self.running.remove(step)
            self.ended.append((secs, step.name))
            self.print_results()
            self.turn.notify_all()

    def print_results(self):
        """In the order of the list, those that have ended."""
        for step in self.steps:
            if step.code is None:
                return
            if not step.counted:
                step.counted = self.count(step)
                self.passed, self.failed, self.skipped = (
                    a + b for a, b in zip((self.passed, self.failed, self.skipped), step.counted))

    def count(self, step):
        """Prints the result of a step; gives what has passed, failed and was skipped."""
        text = step.log.read_text(errors="replace")
        took = f"{step.secs:.0f} s"
        if step.code == SKIPPED:
            print(f"skipped {step.name}: {last_line(text)}", flush=True)
            return 0, 0, 1
        found = CASES.findall(text) if step.by_cases else []
        if not found:
            good = step.code == 0 and not step.by_cases
            print(f"ok      {step.name}, {took}" if good else
                  f"FAILED  {step.name} (status {step.code}), {took}\n{tail(step.log, 60)}", flush=True)
            for line in re.findall(step.shows, text, re.M) if good and step.shows else ():
                print(f"        {line}", flush=True)
            return int(good), int(not good), 0
        passed, failed, skipped = map(int, found[-1])
        if any(word.startswith("-tc=") for word in step.command):
            skipped = 0  # those that were not selected
        if failed or step.code:
            print(f"FAILED  {step.name}: {passed} passed, {failed} failed (status {step.code}), {took}\n{errors(text)}",
                  flush=True)
            return passed, max(failed, 1), skipped
        print(f"ok      {step.name}: {passed} cases, {took}")
        for number in re.findall(r": MESSAGE: (.*)", text):  # what was measured
            print(f"        {number}")
        sys.stdout.flush()
        return passed, 0, skipped

    def run(self):
        builder = threading.Thread(target=self.build_all, daemon=True)
        builder.start()
        with self.turn:
            while any(step.code is None for step in self.steps):
                step = self.next_step()
                if step:
                    self.running.append(step)
                    threading.Thread(target=self.run_step, args=[step], daemon=True).start()
                else:
                    self.turn.wait()
        builder.join()

    def end_all(self):
        for process in list(self.processes):
            process.terminate()


def chosen(steps, words):
    """A word that is the whole name of a step means that step; else all steps whose name holds it."""
    names = {step.name for step in steps}
    return [s for s in steps if not words or any(w == s.name or w not in names and w in s.name for w in words)]


def tail(log, lines):
    return "\n".join(Path(log).read_text(errors="replace").splitlines()[-lines:])


def last_line(text):
    return (text.strip().splitlines() or ["it does not say why"])[-1]


def errors(text):
    """The lines around what went wrong."""
    lines, shown = text.splitlines(), set()
    for number, line in enumerate(lines):
        if re.search(r"ERROR|Sanitizer|runtime error", line):
            shown.update(range(number, min(number + 13, len(lines))))
    return "\n".join(lines[n] for n in sorted(shown)[:120])


def main():
    parser = argparse.ArgumentParser(prog="tools/test", add_help=False)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--jobs", type=int, default=3)
    wanted = parser.parse_args()
    steps = chosen(all_steps(wanted.quick), wanted.words)
    if wanted.list:
        print("\n".join(step.name for step in steps))
        return 0
    if not steps:
        print("No step has such a name; there are:\n" + "\n".join(s.name for s in all_steps(wanted.quick)), file=sys.stderr)
        return 2
    needed = {step.needs for step in steps} | {"test"}
    builds = [b for b in all_builds(wanted.quick) if not wanted.words or b.name in needed]
    for directory in (RESULTS, BUILD / "corpus"):
        directory.mkdir(parents=True, exist_ok=True)
    for old in RESULTS.iterdir():
        old.unlink()

    began = time.monotonic()
    gate = Gate(builds, steps, wanted.jobs)
    try:
        gate.run()
    except KeyboardInterrupt:
        gate.end_all()
        print("interrupted", file=sys.stderr)
        return 130
    print("The slowest:")
    for secs, name in sorted(gate.ended, reverse=True)[:10]:
        print(f"  {secs:6.0f} s  {name}")
    print(f"All in {(time.monotonic() - began) / 60:.1f} minutes.")
    print(f"{gate.passed} passed, {gate.failed} failed, {gate.skipped} skipped")
    return 1 if gate.failed else 0


if __name__ == "__main__":
    sys.exit(main())
