"""Runs of Snakemake that are told to end while a job would take minutes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from waiting import GUARD_S, wait_for

JOB = "echo $$ > pid_partial; mv pid_partial pid; sleep 600; touch {output}"
PROGRAM = """
import logging, signal, sys
from nnunet_sparse.grid.termination import Termination
from nnunet_sparse.grid.workflow import _snakemake
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it in background jobs
with Termination() as termination:
    ended = _snakemake(["--cores", "1", "--quiet", "all"], limited=False)
print(ended, termination.status)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signals", "status"), [([signal.SIGTERM, signal.SIGTERM], 143), ([signal.SIGINT], 130)]
)
def test_jobs_end_with_their_run(
    tmp_path: Path, signals: list[signal.Signals], status: int
) -> None:
    (tmp_path / "Snakefile").write_text(f"rule all:\n    output: 'a'\n    shell: {JOB!r}\n")
    run = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )
    wait_for(tmp_path / "pid")
    job = int((tmp_path / "pid").read_text())
    assert run.stderr is not None
    said = ""
    for number in signals:
        os.kill(run.pid, number)
        while "SIGTERM ends them" not in said and number == signal.SIGTERM:
            assert psutil.pid_exists(job)
            said += run.stderr.readline()
    out, rest = run.communicate(timeout=GUARD_S)
    assert "ending the jobs that run" in rest
    assert not psutil.pid_exists(job)
    assert out.strip() == f"1 {status}"
