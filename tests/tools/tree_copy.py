"""A copy of the tree to build in, beside the tree: only what changed since the last time is built again."""

import shutil
import subprocess
from pathlib import Path


def make_copy(tree, target):
    """Makes `target` hold the files of `tree` that git knows or would take, and nothing else but its build/."""
    tree, target = Path(tree), Path(target)
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=tree, capture_output=True, text=True,
                           check=True).stdout.splitlines()
    wanted = {name for name in names if (tree / name).is_file()}
    for there in [p for p in target.rglob("*") if p.is_file()]:
        name = str(there.relative_to(target))
        if not name.startswith("build/") and name not in wanted:
            there.unlink()
    for name in wanted:  # those that are the same keep their time
        source, copy = tree / name, target / name
        if not copy.exists() or source.read_bytes() != copy.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
