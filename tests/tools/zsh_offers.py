#!/usr/bin/env python3
"""Types a line and two Tabs into a real zsh on a terminal, and prints what it shows then.

    zsh_offers.py FOLDER_OF_COMPLETIONS 'phictl stop --mode '
"""

import os
import pty
import select
import sys
import time


def read_until(fd, end, seconds):
    seen, until = b"", time.monotonic() + seconds
    while time.monotonic() < until and end not in seen:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                seen += os.read(fd, 65536)
            except OSError:
                break
    return seen


def main():
    folder, line = sys.argv[1:]
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(TERM="dumb", PS1="", COLUMNS="200")
        os.execvp("zsh", ["zsh", "-f", "-i"])
    # The word is split so that its echo is not taken for its output.
    setup = f"PS1=; fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -D; print RE''ADY\n"
    os.write(fd, setup.encode())
    if b"READY" not in read_until(fd, b"READY", 20):
        sys.exit("zsh did not get ready")
    os.write(fd, line.encode() + b"\t\t")
    print(read_until(fd, b"\0", 2).decode(errors="replace"))
    os.write(fd, b"\x03exit\n")
    read_until(fd, b"\0", 0.5)
    os.close(fd)


main()
