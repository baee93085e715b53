"""A SLURM of one node with two pretended GPUs, on loopback addresses only.

It needs Debian's packages slurm-wlm and munge, and root.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("munged", "mungekey", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
CONFIGURATION = Path("/etc/slurm/slurm.conf")
_CONFIGURATION = """\
ClusterName=nnsparse
SlurmctldHost={host}(127.0.0.1)
SlurmctldAddr=127.0.0.1
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
GresTypes=gpu
ReturnToService=2
KillWait=5
MinJobAge=600
OverTimeLimit=0
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:2 State=UNKNOWN
PartitionName=gpu Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def obstacle() -> str:
    """Why SLURM cannot be started here; empty if it can."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if missing:
        return f"needs Debian's packages slurm-wlm and munge ({', '.join(missing)} missing)"
    if os.getuid() != 0:
        return "needs root"
    if CONFIGURATION.exists() or CONFIGURATION.is_symlink():
        return f"{CONFIGURATION} is there: SLURM is in use"
    return ""


@contextmanager
def slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Start SLURM; gives the environment in which its commands work.

    Parameters
    ----------
    folder
        An empty folder with a short path, since sockets are in it.
    """
    host = socket.gethostname().partition(".")[0]
    ports = [_free_port(), _free_port()]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20 - 100
    for name in ("state", "spool"):
        (folder / name).mkdir()
    configuration = folder / "slurm.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            host=host, folder=folder, ports=ports, cpus=os.cpu_count(), memory=memory
        )
    )
    (folder / "gres.conf").write_text(f"NodeName={host} Name=gpu File=/dev/tty[0-1]\n")
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    key, munge = folder / "munge.key", folder / "munge.socket"
    started: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> None:
        log = (folder / f"{Path(command[0]).name}.out").open("wb")
        started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))

    # jobs do not get SLURM_CONF: Snakemake takes variables of SLURM away
    CONFIGURATION.symlink_to(configuration)
    try:
        subprocess.run(["mungekey", "--create", f"--keyfile={key}"], env=environment, check=True)
        files = [f"--{name}-file={folder / name}" for name in ("pid", "log", "seed")]
        start("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={munge}", *files)
        _wait_until(munge.exists)
        start("slurmctld", "-D", "-f", str(configuration))
        start("slurmd", "-D", "-f", str(configuration), "-N", host)
        _wait_until(lambda: "idle" in _output(["sinfo", "-h", "-o", "%T"], environment))
        yield environment
    finally:
        CONFIGURATION.unlink()
        for process in reversed(started):
            process.terminate()
        for process in started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _output(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    return done.stdout


def _wait_until(condition: object, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():  # type: ignore[operator]
            return
        time.sleep(0.2)
    raise TimeoutError("SLURM has not started: see its logs")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
