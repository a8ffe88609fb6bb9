#!/usr/bin/env python3
"""Tests tools/tidy: each rule finds what it is for, and nothing in a tree that is as it should be.

Works on a small tree of its own in a temporary directory; reads nothing of the real one but the tool.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TIDY = Path(__file__).resolve().parents[2] / "tools/tidy"

# A file, and the finding that it must cause; None: it is fine.
CASES = [
    ("protocol/a.cpp", '#include "actors/x.hpp"\n', "protocol/ must not include actors/x.hpp"),
    ("actors/a.cpp", '#include "protocol/x.hpp"\n', None),
    ("tools/phictl/a.cpp", '#include "config/x.hpp"\n', "tools/ must not include config/x.hpp"),
    ("server/http/a.cpp", '#include "server/store/x.hpp"\n', "server/http/ must not include server/store/x.hpp"),
    ("server/statistics/a.cpp", '#include "server/api/x.hpp"\n', "server/statistics/ must not include"),
    ("server/http/a.cpp", '#include "server/run.hpp"\n', "which puts the rooms together"),
    ("server/store/postgres/a.cpp", '#include "server/store/sqlite/x.hpp"\n', "server/store/postgres/ must not include"),
    ("server/store/spool/a.cpp", '#include "server/store/sqlite/x.hpp"\n', None),
    ("server/web/a.cpp", '#include "server/api/x.hpp"\n', "no such room in server/"),
    ("server/http/a.cpp", "#include <sqlite3.h>\n", "<sqlite3.h> belongs to"),
    ("server/store/postgres/a.cpp", "#include <libpq-fe.h>\n", None),
    ("server/api/a.cpp", "#include <libpq-fe.h>\n", "<libpq-fe.h> belongs to"),
    ("server/api/a.cpp", "#include <restinio/all.hpp>\n", "<restinio/all.hpp> belongs to"),
    ("server/http/a.cpp", "#include <restinio/all.hpp>\n", None),
    ("server/http/a.cpp", "#include <asio.hpp>\n", "<asio.hpp> belongs to"),
    ("actors/a.cpp", "#include <asio/io_context.hpp>\n", "<asio/io_context.hpp> belongs to"),
    ("server/platform/listener.hpp", "#include <asio/io_context.hpp>\n", "<asio/io_context.hpp> belongs to"),
    ("server/platform/posix/acceptor.cpp", "#include <asio/io_context.hpp>\n", None),
    ("server/process/a.cpp", "#include <systemd/sd-bus.h>\n", "<systemd/sd-bus.h> belongs to"),
    ("server/systemd/a.cpp", "#include <sys/un.h>\n#include <systemd/sd-bus.h>\n", None),
    ("server/store/a.cpp", "#include <toml.hpp>\n", "<toml.hpp> belongs to"),
    ("server/observe/trace.cpp", "#include <spdlog/spdlog.h>\n", "<spdlog/spdlog.h> belongs to"),
    ("server/api/a.cpp", "#include <openssl/evp.h>\n", "<openssl/evp.h> belongs to"),
    ("server/api/a.cpp", "#include <date/tz.h>\n", "<date/tz.h> belongs to"),
    ("actors/a.cpp", "#include <caf/all.hpp>\n", "<caf/all.hpp> belongs to"),
    ("actors/a.cpp", "#include <unistd.h>\n", "<unistd.h> belongs to"),
    ("config/a.cpp", "#include <netdb.h>\n", "<netdb.h> belongs to"),
    ("actors/a.cpp", "#include <csignal>\n", "<csignal> belongs to"),
    ("server/http/a.cpp", "#include <sys/socket.h>\n", "<sys/socket.h> belongs to"),
    ("server/platform/a.cpp", "#include <fcntl.h>\n", "<fcntl.h> belongs to"),
    ("protocol/platform/files.hpp", "#include <sys/types.h>\n", "<sys/types.h> belongs to"),
    ("server/platform/posix/a.cpp", "#include <fcntl.h>\nint it = ::open(name, 0);\n", None),
    ("protocol/platform/posix/a.cpp", "#include <pwd.h>\nint it = ::getpid();\n", None),
    ("tools/phictl/output.cpp", "#include <unistd.h>\n", "<unistd.h> belongs to"),
    ("tools/phictl/commands/stop.cpp", "#include <unistd.h>\n", "<unistd.h> belongs to"),
    ("tests/server/a.cpp", "#include <unistd.h>\n", None),
    ("tools/bench/a.cpp", "#include <unistd.h>\n", None),
    ("actors/a.cpp", '#include "server/platform/posix/a.hpp"\n', "lies in the folder above"),
    ("actors/a.cpp", "int it = ::getpid();\n", "the operating system is called by way of"),
    ("server/http/a.cpp", "pthread_setname_np(thread, name);\n", "the operating system is called by way of"),
    ("actors/a.cpp", "int it = files::open(name) + log->close(::counts());\n", None),
    ("actors/a.cpp", "int x; // " + "y" * 100 + "\n", "110 columns; at most 100"),
    ("actors/a.cpp", "// The door is shut.\n", "say listener, not door"),
    ("actors/README.md", "It hurries, and adopts it.\n", "say escalate, or be fast, not hurries"),
    ("CHANGELOG.md", "It adopts the settings.\n", None),
    ("actors/a.cpp", "void add(const row& one) {\n", "one says nothing"),
    ("actors/a.cpp", "auto what = 1;\n", "what says nothing"),
    ("actors/a.cpp", 'static value of(int number); // what of "auto one = 1;"\n', None),
    ("actors/a.cpp", "auto t = caf::infinite;\n", "an infinite time-out"),
    ("actors/a.cpp", "int n = atoi(text);\n", "an unsafe or unchecked call"),
    ("actors/a.cpp", "// TODO later\n", "finish it"),
    ("actors/a.cpp", "std::this_thread::sleep_for(limit);\n", "no fixed sleeps"),
    ("actors/a.cpp", "::poll(nullptr, 0, 100);\n", "no fixed sleeps"),
    ("actors/a.cpp", "std::abort();\n", "only the last resort ends the process"),
    ("actors/a.cpp", "void let_go();\n", "say release_handles, not let_go"),
    ("actors/a.cpp", "class doing {};\n", "say activity_scope, not doing"),
    ("actors/a.cpp", "void become(int state);\n", "say set_state, not become"),
    ("actors/a.cpp", "void use_settings();\n", "say apply_settings, not use_settings"),
    ("actors/a.cpp", "int hurried_at_ = 0;\n", "say escalate, not hurried_at_"),
    ("actors/a.cpp", "void look_again();\n", "say inspect or check, not look_again"),
    ("actors/a.cpp", "void look();\n", "say inspect or check, not look"),
    ("actors/a.cpp", "int next_look = 0; // when we look again\n", "say inspect or check, not next_look"),
    ("actors/a.cpp", "int look_up(int name); // what looks wrong\n", None),
    ("tests/a.cpp", "struct fake_house {};\n", "say service, graph or fixture, not fake_house"),
    ("server/http/a.cpp", "void tell_refusal();\n", "say log_, not tell_refusal"),
    ("actors/a.cpp", 'auto name = "mend";\n', "\"mend\" has another name now"),
    ("actors/a.cpp", "void answer(exchange& now);\n", "now is a time"),
    ("actors/a.cpp", "void sweep(time_point now);\n", None),
    ("actors/a.cpp", "std::mutex guard_;\n", "say mutex_, not guard_"),
    ("actors/a.cpp", "void open(const settings& with);\n", "say settings, context or the type's name, not with"),
    ("actors/a.cpp", "int open(int mode); // with, or\n", None),
    ("tests/a.cpp", "void open(const settings& with);\n", None),
    ("actors/a.cpp", "// What is born, and let go.\n", None),
    ("actors/a.cpp", "void one() {\n" + "  f();\n" * 80 + "}\n", "a function of 81 lines; at most 70"),
    ("actors/a.cpp", "void one(int first,\n         int second) {\n" + "  f();\n" * 80 + "}\n", "a function of 81 lines"),
    ("actors/a.cpp", "void one() {\n" + "  f();\n" * 60 + "}\n", None),
    ("actors/a.cpp", "int x;\n" * 521, "521 lines; at most 520"),
    ("actors/a.cpp", 'auto place = "' + "/ho" + 'me/somebody/x";\n', "a path of one machine"),
    ("actors/a.cpp", "int  x;\n", "not formatted"),
    ("actors/ports/a.hpp", "/// Empty, or what is in\n/// the way.\nvirtual std::string open() = 0;\n", "returned as an outcome"),
    ("actors/ports/a.hpp", "/// Else what is wrong.\nvirtual outcome open() = 0;\nstd::string name();\n", "nobody includes this header"),
    ("kitchen/a.cpp", "int x;\n", "no such room: there are"),
]


def tidy(tree):
    return subprocess.run([sys.executable, str(tree / "tools/tidy")], capture_output=True, text=True, timeout=60)


def make_tree(tree):
    (tree / "tools").mkdir(parents=True)
    (tree / "tests").mkdir()
    shutil.copy(TIDY, tree / "tools/tidy")
    shutil.copy(TIDY.parent.parent / ".clang-format", tree / ".clang-format")
    (tree / "tests/programs.txt").write_text("")
    (tree / "tests/mutations.txt").write_text("")
    subprocess.run(["git", "init", "-q", str(tree)], check=True)


def finding_of(tree, name, text):
    """What tidy says of this file alone, beside the tree that is fine."""
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    (path.parent / "meson.build").write_text(f"'{path.name}'\n")  # not dead
    run = tidy(tree)
    path.unlink()
    (path.parent / "meson.build").unlink()
    return run


def main():
    failed = 0
    with tempfile.TemporaryDirectory(prefix="phi-tidy-") as place:
        tree = Path(place) / "tree"
        make_tree(tree)
        first = tidy(tree)
        if first.returncode != 0:
            print(f"FAILED  a tree that is fine\n{first.stdout}{first.stderr}")
            return 1
        for name, text, wanted in CASES:
            run = finding_of(tree, name, text)
            lines = [line for line in run.stdout.splitlines() if line.startswith((name, name.split("/")[0] + ":"))]
            fine = not lines and run.returncode == 0 if wanted is None else any(wanted in line for line in lines)
            if not fine:
                failed += 1
                print(f"FAILED  {name}: {text[:60]!r}\n  wanted {wanted!r}, found:\n{run.stdout}{run.stderr}")
        dead = finding_of(tree, "actors/b.hpp", "#pragma once\n")
        if dead.returncode == 0:  # named in meson.build, so not dead; without it:
            (tree / "actors/b.hpp").write_text("#pragma once\n")
            if "nobody includes this header" not in tidy(tree).stdout:
                failed += 1
                print("FAILED  a header that nobody includes is not found")
            (tree / "actors/b.hpp").unlink()
        (tree / "tests/mutations.txt").write_text("actors/none.cpp | a; | b; | unit_test | x\n")
        if "there is no actors/none.cpp" not in tidy(tree).stdout:
            failed += 1
            print("FAILED  a mutant of a file that is gone is not found")
    print(f"tidy: {len(CASES) + 2 - failed} of {len(CASES) + 2} rules hold")
    return 1 if failed else 0


sys.exit(main())
