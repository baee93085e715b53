"""Whenever a command that publishes is ended, the next call gives what an undisturbed one gives."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from system.commands import COMMANDS

WAYS = ("kill", "torn", "interrupt", "full")
Ask = Callable[[str, str, int], list[str]]


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Function that ends a command at every n-th change of files; what goes wrong then."""
    tests = Path(__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "system.killing"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=tests,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(tests)},
        encoding="utf-8",
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def request(command: str, way: str, stride: int) -> list[str]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{command} {way} {stride}\n")
        process.stdin.flush()
        wrong: list[str] = json.loads(process.stdout.readline())
        return wrong

    yield request
    process.stdin.close()
    process.wait(timeout=60)


# a sample at about four changes of each command, unless all are asked for
EVERY_CHANGE, SAMPLE = 1, 0
STRIDE = EVERY_CHANGE if os.environ.get("NNSPARSE_EVERY_CHANGE") else SAMPLE


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("command", COMMANDS)
def test_the_next_call_sets_it_right(ask: Ask, command: str, way: str) -> None:
    assert not ask(command, way, STRIDE)


@pytest.mark.parametrize(
    ("command", "way"), [("make_phantom_overwrite", "kill"), ("import", "full")]
)
def test_two_of_them(ask: Ask, command: str, way: str) -> None:
    """In the fast tests as well."""
    assert not ask(command, way, SAMPLE)
