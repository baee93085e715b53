"""Ends commands at each of their changes of files, and looks at what the next call makes of it.

A program: it imports everything once, and forks for each call, so that a call costs milliseconds.
It reads lines ``COMMAND WAY STRIDE`` from its standard input and answers each with a line of JSON:
a list of what went wrong. Changes of files are seen by an audit hook; what is written by C++ is
seen as the creation of the file, or not at all until it is renamed.

Ways to end a command at its n-th change, which does not take place:

``kill``
    the process ends at once, with all that Python has buffered;
``torn``
    the same, with half of the file that was being written;
``interrupt``
    Ctrl-C;
``full``
    the change fails, as on a full disk.
"""

import contextlib
import gc
import importlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from system.commands import COMMANDS, Published, make_fast
from system.file_changes import KILLED, Changes, in_child

# these tell how far a work is, which is gone on with after a failure as well
_UNDER_WAY = {"checkpoint_latest.pth", "campaign.json", "nnsparse_steps.json"}
Tree = dict[str, bytes]


def tree(folder: Path) -> Tree:
    """Everything below a folder: content of files, targets of links, nothing of folders."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.fsencode(path.readlink())
        else:
            found[name] = path.read_bytes() if path.is_file() else b"folder"
    return found


class Trial:
    """A command, the files that it finds, and those that it makes undisturbed."""

    def __init__(self, published: Published, folder: Path) -> None:
        self._published = published
        self._work, self._before, self._log = folder / "work", folder / "before", folder / "log"
        self._work.mkdir()
        if in_child(self._prepared, self._log):
            raise RuntimeError(self._log.read_text("utf-8", "replace"))
        self._work.rename(self._before)
        self.count = self._counted(folder / "count")
        self._old, self._new = tree(self._before), tree(self._work)

    def _prepared(self) -> int:
        os.chdir(self._work)
        self._published.prepare()
        return 0

    def _reset(self) -> None:
        shutil.rmtree(self._work, ignore_errors=True)
        shutil.copytree(self._before, self._work, symlinks=True)

    def _run(self, way: str, last: int, again: bool = False, count: Path | None = None) -> int:
        def call() -> int:
            os.chdir(self._work)
            changes = Changes(way, last)
            sys.addaudithook(changes)
            known = set(sys.modules)
            status = self._published.again() if again else self._published.run()
            if count is not None:
                count.write_text(" ".join([str(changes.count), *(sys.modules.keys() - known)]))
            return status

        return in_child(call, self._log)

    def _counted(self, file: Path) -> int:
        """Number of changes; what the command has imported is imported for all later calls."""
        self._reset()
        if self._run("kill", 0, count=file):
            raise RuntimeError(self._said())
        count, *modules = file.read_text("utf-8").split()
        for module in sorted(modules):
            with contextlib.suppress(ImportError):
                importlib.import_module(module)
        gc.freeze()
        return int(count)

    def wrong(self, way: str, last: int) -> list[str]:
        """What is wrong after a command was ended, and after the next call."""
        self._reset()
        status = self._run(way, last)
        found = []
        if way in {"kill", "torn"} and status != KILLED:
            found.append(f"ended with {status}: {self._said()}")
        if way == "full" and status:
            found += [f"after the failure: {line}" for line in self._half_written()]
        status = self._run("kill", 0, again=True)
        if status:
            found.append(f"the next call ended with {status}: {self._said()}")
        return [f"{way} at {last} of {self.count}: {line}" for line in found + self._different()]

    def _said(self) -> str:
        return self._log.read_text("utf-8", "replace")[-2000:]

    def _half_written(self) -> list[str]:
        """Visible files that are neither as they were nor as they are to be."""
        now = tree(self._work)
        names = {name for name in self._old | now if not any(p[0] == "." for p in name.split("/"))}
        return [
            f"{name} is neither old nor new"
            for name in sorted(names)
            if now.get(name) not in {self._old.get(name), self._new.get(name)}
            and Path(name).name not in _UNDER_WAY
        ]

    def _different(self) -> list[str]:
        now = tree(self._work)
        lines = [f"{name} is left over" for name in now.keys() - self._new.keys()]
        lines += [f"{name} is missing" for name in self._new.keys() - now.keys()]
        both = now.keys() & self._new.keys()
        return sorted(lines + [f"{n} differs" for n in both if now[n] != self._new[n]])


def main() -> None:
    """Answer requests until there is no more."""
    make_fast()
    with tempfile.TemporaryDirectory() as root:
        trials: dict[str, Trial] = {}
        for line in sys.stdin:
            name, way, stride = line.split()
            try:
                if name not in trials:
                    folder = tempfile.mkdtemp(dir=root)
                    trials[name] = Trial(COMMANDS[name], Path(folder))
                trial = trials[name]
                step = int(stride) or max(1, trial.count // 4)
                wrong = [w for n in range(1, trial.count + 1, step) for w in trial.wrong(way, n)]
            except RuntimeError as error:
                wrong = [str(error)]
            print(json.dumps(wrong), flush=True)


if __name__ == "__main__":
    main()
