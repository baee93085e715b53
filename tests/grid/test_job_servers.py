"""The servers of a run: how they start and end."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from waiting import GUARD_S

from nnunet_sparse.grid import job_client
from nnunet_sparse.grid.job_servers import JobServers, step_command

RUN = """
import sys, time
from pathlib import Path
from nnunet_sparse.grid.job_servers import JobServers, step_command
folder = Path(sys.argv[1])
with JobServers(folder / "grid.yaml", folder / "logs" / "servers.txt", {2, 1}) as servers:
    print(servers.name, *[server.pid for server in servers._servers], flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("number", [None, signal.SIGKILL])
def test_servers_end_with_their_run(tmp_path: Path, number: signal.Signals | None) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert run.stdin is not None
    assert run.stdout is not None
    name, *numbers = run.stdout.readline().split()
    servers = [psutil.Process(int(server)) for server in numbers]
    assert len(servers) == 2
    if number is None:
        run.stdin.close()
    else:
        run.send_signal(number)
    run.wait(GUARD_S)
    psutil.wait_procs(servers, timeout=GUARD_S)
    assert not any(server.is_running() for server in servers)
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
        client.connect(f"\0{name}-1")


def test_jobs_of_a_cluster_have_none(tmp_path: Path) -> None:
    with JobServers(tmp_path / "grid.yaml", tmp_path / "servers.txt", set()) as servers:
        assert set(servers.variables().values()) == {""}


@pytest.mark.parametrize("broken", ["socket.socket", "subprocess.Popen"])
def test_where_no_server_can_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(broken, refuse)
        with JobServers(tmp_path / "grid.yaml", tmp_path / "servers.txt", {2}) as servers:
            variables = servers.variables()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    own = [sys.executable, "-m", "nnunet_sparse.grid.grid_command", "step", "grid.yaml"]
    assert step_command(Path("grid.yaml"), 2) == own
    for name in variables:
        monkeypatch.setenv(name, "nnsparse-0-f00")
    command = step_command(Path("grid.yaml"), 2)
    assert command[-4:] == [job_client.__file__, "nnsparse-0-f00-2", "step", "grid.yaml"]
