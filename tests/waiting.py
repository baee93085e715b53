"""What processes and threads of tests wait for: files and messages, never a stretch of time."""

import logging
import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# only ends what would hang for ever
GUARD_S = 300.0


def wait_for(file: Path) -> None:
    """Wait until another process or thread has made a file."""
    wait_until(file.exists, f"{file} does not appear")


def wait_until(happened: Callable[[], object], otherwise: str = "it does not happen") -> None:
    """Wait until another process or thread has done something."""
    end = time.monotonic() + GUARD_S
    while not happened():
        assert time.monotonic() < end, otherwise
        time.sleep(0.01)


def make_and_wait(made_and_awaited: tuple[Path, Path]) -> None:
    """Make a file, which fails without its folder, and wait for another one."""
    made, awaited = made_and_awaited
    made.touch()
    wait_for(awaited)


@contextmanager
def calling_on_message(text: str, call: Callable[[], object]) -> Iterator[None]:
    """Call a function whenever a message that holds a text is logged within a block."""

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if text in record.getMessage():
                call()

    root, listener = logging.getLogger(), Listener()
    level = root.level
    root.addHandler(listener)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.setLevel(level)
        root.removeHandler(listener)


def at_once(call: Callable[[], Any], count: int) -> list[Any]:
    """What a call returns in each of some forks of this process, which run at the same time."""
    forks = multiprocessing.get_context("fork")
    returned = forks.SimpleQueue()
    running = [forks.Process(target=lambda: returned.put(call())) for _ in range(count)]
    for process in running:
        process.start()
    for process in running:
        process.join(GUARD_S)
    assert [process.exitcode for process in running] == [0] * count
    return [returned.get() for _ in running]
