#!/usr/bin/env python3
"""Holds answers of the real service against its own description, /openapi.json; and that against the rules.

    tests/tools/openapi_test.py PHI_BACKEND

Every endpoint is asked in several ways, with and without events, and wrongly. An answer that has a field more or less than
the description says is a fault of one of the two. Where npm can fetch it, Redocly's linter reads the description too.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import jsonschema

EVENTS = [
    {"feature": "search", "action": "run", "route": "/search", "method": "GET", "status": 200, "durationMs": 3.5,
     "user": "ada", "userKind": "member", "instance": "web-1", "id": "1", "source": "test", "extra": {"k": "v"}},
    {"route": "/search", "status": 503, "userHash": "0123456789abcdef0123456789abcdef"},
    {"feature": "login", "durationMs": 12},
]
RANGE = "start=-1d&end=today"
ALL_METRICS = "metrics=events,errors,error_rate,users,addresses,avg,min,max,p50,p90,p95,p99,p999"
QUESTIONS = {
    "/stats/daily": ["", "&feature=search", "&source=phi"],
    "/stats/daily/features": ["", "&feature=search", "&timezone=Asia/Kolkata"],
    "/stats/daily/dau": [""],
    "/stats/daily/http": ["", "&route=/search&method=GET&top=1"],
    "/stats/latency": ["", "&bucket=week&feature=search&route=/search&method=GET", "&bucket=month"],
    "/stats/series": ["", "&" + ALL_METRICS, "&interval=hour", "&interval=week&class=5xx&route=/search&route=/other",
                      "&compare=previous&by=feature", "&by=status&top=1"]
                     + [f"&by={key}&metrics=events" for key in ("action", "route", "method", "class", "instance")]
                     + ["&by=user_kind&metrics=events,users&compare=2020-01-01..2020-01-02"],
    "/stats/summary": ["", "&include=all", "&feature=search&include=user_kinds,latency"],
    "/cluster": [""],
    "/lifecycle": [""],
}
WRONG = ["/stats/daily", "/stats/daily?start=x&end=y", "/stats/series?" + RANGE + "&by=nothing", "/stats/nothing"]


class Checker:
    def __init__(self, base):
        self.base = base
        self.failures = 0
        self.asked = set()
        self.document = json.loads(self.get("/openapi.json")[2])

    def fail(self, text):
        self.failures += 1
        print(f"FAILED  {text}")

    def get(self, path, body=None, accept="application/json"):
        request = urllib.request.Request(self.base + path, data=body,
                                         headers={"Accept": accept, "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.headers, refused.read().decode()

    def check(self, path, method="get", body=None, of=None):
        """The answer fits what the description says of this path and status."""
        status, headers, text = self.get(path, body)
        name = path.partition("?")[0]
        described = self.document["paths"].get(of or name, {}).get(method)
        if not described:
            return self.fail(f"{name} is not described")
        response = described["responses"].get(str(status))
        if not response:
            return self.fail(f"{path} answers {status}, which is not described:\n  {text}")
        if "$ref" in response:
            response = self.document["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
        media = headers["Content-Type"].partition(";")[0]
        if media not in response["content"]:
            return self.fail(f"{path} answers {media}, which is not described")
        schema = response["content"][media]["schema"] | {"components": self.document["components"]}
        validator = jsonschema.Draft202012Validator(schema)
        for error in validator.iter_errors(json.loads(text)):
            self.fail(f"{path}: {'/'.join(map(str, error.absolute_path))}: {error.message[:300]}")
        self.asked.add((of or name, status))
        return None

    def check_all(self):
        prefix = "/api/v1"
        for stored in (False, True):
            if stored:
                self.check(prefix + "/events", "post", json.dumps(EVENTS + [{"wrong": 1}]).encode())
                self.check(prefix + "/events", "post", b"{")
                self.check(prefix + "/events", "post", b'{"wrong":1}')
            for path, ways in QUESTIONS.items():
                for more in ways:
                    self.check(f"{prefix}{path}?{RANGE}{more}" if path.startswith("/stats") else prefix + path)
        for path in WRONG:
            self.check(prefix + path, of=prefix + "/stats/daily" if "nothing" in path else None)
        for path in ("/health", "/health/live", "/health/ready", "/health/startup", "/", "/openapi.json"):
            self.check(path)
        described = {path for path, methods in self.document["paths"].items() for one in methods.values()
                     if "application/json" in one["responses"]["200"]["content"]}
        for path in described - {path for path, status in self.asked if status == 200}:
            self.fail(f"{path} has not been asked")

    def check_that_it_refuses(self):
        """The check itself: a field that is not described is seen."""
        schema = self.document["components"]["schemas"]
        for name, wrong in (("Daily", [{"date": "2026-01-01"}]), ("Series", {"rows": []}),
                            ("IngestAnswer", {"stored": -1, "duplicates": 0, "rejected": [], "durability": "committed"})):
            whole = schema[name] | {"components": self.document["components"]}
            if not list(jsonschema.Draft202012Validator(whole).iter_errors(wrong)):
                self.fail(f"{name} takes {wrong}")

    def check_pages(self):
        for path in ("/", "/docs"):
            status, headers, text = self.get(path, accept="text/html,*/*;q=0.8")
            if status != 200 or not text.startswith("<!doctype html>") or "script" in text.partition("<body>")[0]:
                self.fail(f"{path} is no page")
            policy = headers["Content-Security-Policy"] or ""
            style = text.partition("<style>")[2].partition("</style>")[0]
            wanted = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
            if not policy.startswith("default-src 'none'") or f"style-src 'sha256-{wanted}'" not in policy:
                self.fail(f"{path}: the style's hash is {wanted}, but the Content-Security-Policy says {policy}")


def lint(document, home):
    """Redocly's recommended rules; nothing when it cannot be had."""
    if not shutil.which("npm"):
        return "not linted: there is no npm"
    got = subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", home, "@redocly/cli@2"],
                         capture_output=True, text=True, timeout=300)
    if got.returncode != 0:
        return "not linted: npm cannot install Redocly's linter"
    file = Path(home) / "openapi.json"
    file.write_text(json.dumps(document))
    done = subprocess.run([Path(home) / "node_modules/.bin/redocly", "lint", file], capture_output=True, text=True,
                          timeout=120, cwd=home, env=os.environ | {"REDOCLY_TELEMETRY": "off"})
    return "" if done.returncode == 0 else f"FAILED  the linter says\n{done.stdout}{done.stderr}"


def main():
    with tempfile.TemporaryDirectory(prefix="phi-openapi-") as home:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("APP_", "PHI_"))}
        environment |= {"APP_SERVER_STATE_DIR": home, "APP_SERVER_PORT": "0"}
        with open(Path(home) / "log", "w") as log:
            service = subprocess.Popen([sys.argv[1]], env=environment, stderr=log)
        try:
            for _ in range(2000):
                text = (Path(home) / "log").read_text()
                if "is ready" in text or service.poll() is not None:
                    break
                time.sleep(0.01)
            checker = Checker("http://127.0.0.1:" + re.search(r"port=(\d+)", text)[1])
            checker.check_all()
            checker.check_that_it_refuses()
            checker.check_pages()
            said = lint(checker.document, home)
        finally:
            service.send_signal(signal.SIGINT)
            service.wait(timeout=30)
        if said:
            print(said)
        print(f"{len(checker.asked)} kinds of answers, {checker.failures} faults")
        return 1 if checker.failures or said.startswith("FAILED") else 0


sys.exit(main())
