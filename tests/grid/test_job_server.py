"""Servers, and what happens to jobs and servers that end in whatever way."""

import signal
import socket
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from job_processes import NO_JOB, Server, server
from waiting import GUARD_S, wait_for

__all__ = ["server"]

TELL = """
import json, os, sys
print(json.dumps([os.getpid(), os.getppid(), os.getcwd(), dict(os.environ), sys.stdin.read()]))
print("to the log", file=sys.stderr)
os.close(os.open("made", os.O_CREAT | os.O_WRONLY, 0o666))
"""
MEET = """
import time
from pathlib import Path
Path("{}").touch()
while not Path("{}").exists():
    time.sleep(0.01)
"""
GREEDY = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (1 << 31, 1 << 31))
bytes(1 << 33)
"""


def test_a_job_is_what_its_client_would_be(server: Server, tmp_path: Path) -> None:
    import json

    (tmp_path / "in").write_text("typed")
    variables = {"MINE": "1", "CUDA_VISIBLE_DEVICES": "3", "OMP_NUM_THREADS": "5"}
    with (tmp_path / "in").open("rb") as typed:
        done = server.run(TELL, cwd=tmp_path, env=variables, stdin=typed, umask=0o027)
    assert (done.returncode, done.stderr) == (0, "to the log\n")
    job, parent, folder, environment, read = json.loads(done.stdout)
    assert (parent, folder, read) == (server.process.pid, str(tmp_path), "typed")
    assert job != parent
    assert environment.items() >= (variables | {"FROM_IMPORTS": "imported"}).items()
    assert environment.keys() <= {*variables, "FROM_IMPORTS", "LC_CTYPE"}
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o640


def test_jobs_at_once_import_once(server: Server, tmp_path: Path) -> None:
    one = server.start(MEET.format("one", "two"), cwd=tmp_path)
    two = server.start(MEET.format("two", "one"), cwd=tmp_path)
    assert (one.wait(GUARD_S), two.wait(GUARD_S)) == (0, 0)
    assert server.log.read_text("utf-8") == "prepared\n"


def test_jobs_draw_different_numbers(server: Server) -> None:
    draw = "import random, numpy; print(random.random(), numpy.random.random())"
    one, two = (server.run(draw).stdout.split() for _ in range(2))
    assert not set(one) & set(two)


@pytest.mark.parametrize(
    ("job", "status", "said"),
    [
        ("os._exit(7)", 7, ""),
        ("sys.exit(3)", 3, ""),
        ("sys.exit('why')", 1, "why"),
        ("raise ValueError('why')", 1, "ValueError: why"),
        (GREEDY, 1, "MemoryError"),
        ("os.kill(os.getpid(), 9)", -signal.SIGKILL, ""),
        ("os.kill(os.getpid(), 15)", -signal.SIGTERM, ""),
        ("os.abort()", -signal.SIGABRT, ""),
    ],
)
def test_a_job_that_fails_fails_alone(server: Server, job: str, status: int, said: str) -> None:
    done = server.run(job)
    assert (done.returncode, said in done.stderr) == (status, True)
    assert server.run("print('well')").stdout == "well\n"


def test_it_ends_after_its_jobs(server: Server, tmp_path: Path) -> None:
    job = server.start(MEET.format("begun", "go on"), cwd=tmp_path)
    wait_for(tmp_path / "begun")
    server.process.send_signal(signal.SIGTERM)
    # asked too late, and told so
    assert server.run("print('done')").returncode == NO_JOB
    (tmp_path / "go on").touch()
    assert job.wait(GUARD_S) == 0
    assert server.process.wait(GUARD_S) == 0


def test_terminals_end_the_run_not_the_server(server: Server) -> None:
    assert server.run("").returncode == 0
    for number in (signal.SIGINT, signal.SIGHUP):
        server.process.send_signal(number)
    assert server.run("").returncode == 0


@pytest.mark.parametrize("room", [0, 1, 3])
def test_without_descriptors_jobs_help_themselves(server: Server, room: int) -> None:
    """There is none for the connection, or not enough for the streams of a job."""
    assert server.run("").returncode == 0
    process = psutil.Process(server.process.pid)
    used = {int(path.name) for path in Path(f"/proc/{process.pid}/fd").iterdir()}
    limit = [number for number in range(1000) if number not in used][room]
    process.rlimit(psutil.RLIMIT_NOFILE, (limit, limit))
    assert server.run("print('done')").returncode == NO_JOB


def test_what_is_no_request_is_of_no_importance(server: Server) -> None:
    for content in (b"", b"x", b"\x02\0\0\0[]", b"\x02\0\0\0{}", b"\xff\xff\xff\x00x"):
        with socket.socket(socket.AF_UNIX) as client, suppress(ConnectionError):
            client.connect(f"\0{server.address}")
            if content:
                socket.send_fds(client, [content], [0, 1, 2])
            client.shutdown(socket.SHUT_WR)
            assert client.recv(4) == b""
    assert server.run("").returncode == 0
