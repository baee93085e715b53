"""Running an experiment with Snakemake."""

import argparse
import contextlib
import importlib.util
import io
import logging
import os
import sys
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Self

from tqdm import tqdm

from nnunet_sparse.grid.job_records import GridFolder
from nnunet_sparse.grid.job_servers import JobServers
from nnunet_sparse.grid.job_threads import (
    JobThreads,
    default_cores,
    hand_over_packing,
    job_threads,
    job_threads_on_cluster,
    most_per_gpu,
    num_gpus,
    packed_on_cluster,
)
from nnunet_sparse.grid.jobs import Job, TrainJob, job_graph, jobs_of
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.runner import forget_outdated
from nnunet_sparse.grid.termination import Termination
from nnunet_sparse.system.devices import usable_gpus
from nnunet_sparse.system.env import environment
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.locks import try_lock, unlock

logger = logging.getLogger(__name__)

_LOCK = "run.lock"
_NO_LIMIT = 10**6
_SECONDS_BETWEEN_LOOKS = 1.0
# on network drives files of other machines appear late
_SECONDS_FOR_FILES = "60"
_LIMITS = {"--max-jobs-per-timespan", "--max-jobs-per-second"}
# options with which Snakemake speaks for itself
_TALKATIVE = {"--quiet", "-q", "--verbose", "--dry-run", "--dryrun", "-n", "--printshellcmds", "-p"}


def snakefile() -> Path:
    """The workflow."""
    return Path(__file__).with_name("Snakefile")


def check_snakemake() -> None:
    """Refuse to run where Snakemake is not installed.

    Raises
    ------
    SparseError
        Saying how it is installed.
    """
    if importlib.util.find_spec("snakemake") is None:
        raise SparseError('grids need Snakemake: pip install "nnunet-sparse[grid]"')


def run_workflow(grid: Grid, options: Sequence[str]) -> int:
    """Do all jobs of an experiment that are not done.

    Snakemake takes no lock, since ours tells whether another one is running; it would also take
    braces in the path of its lock for wildcards.

    Parameters
    ----------
    grid
        The experiment.
    options
        Options of Snakemake. Where they say nothing of it, all cores and one job per GPU are
        used, and jobs that do not depend on a failed one go on.

    Returns
    -------
    int
        Exit status of Snakemake; 143 where the run was ended by SIGTERM, 130 after Ctrl-C.

    Raises
    ------
    SparseError
        If Snakemake is missing, the experiment or an option is wrong, or another process runs it.
    """
    check_snakemake()
    jobs = job_graph(grid)  # errors of the file are told before Snakemake starts
    where = ["--snakefile", str(snakefile()), "--directory", str(grid.folder), "--nolock"]
    arguments = [*where, *_defaults(options), *options]
    parsed = check_options(arguments)
    on_cluster = getattr(parsed, "executor", None) not in (None, "local")
    threads = _threads(grid, parsed, on_cluster)
    arguments += _shared_gpus(grid, jobs, parsed, on_cluster)
    grid.folder.mkdir(parents=True, exist_ok=True)
    grid.paths.make_folders()
    lock = try_lock(grid.folder / _LOCK)
    if lock is None:
        raise SparseError(f"{grid.file.name} is being run by another process")
    # as an option Snakemake would read the path as YAML
    os.environ["NNSPARSE_GRID"] = str(grid.file)
    threads.hand_over()
    hand_over_packing(grid.experiment, on_cluster)
    limited = on_cluster or not _given(options).isdisjoint(_LIMITS)
    try:
        forget_outdated(grid)
        with _servers(grid, threads, on_cluster), Termination(on_cluster) as termination:
            if not _TALKATIVE.isdisjoint(options):
                ended = _snakemake(arguments, limited)
            else:
                with _Progress(grid, jobs):
                    ended = _snakemake(arguments, limited)
        return termination.status or ended if ended else 0
    finally:
        unlock(lock)


@contextlib.contextmanager
def _servers(grid: Grid, threads: JobThreads, on_cluster: bool) -> Iterator[None]:
    """Processes that the jobs of this machine share; a cluster starts its jobs elsewhere."""
    numbers = set() if on_cluster else {threads.on_gpu, threads.others}
    log = grid.folder / "logs" / "servers.txt"
    with JobServers(grid.file, log, numbers) as servers, environment(servers.variables()):
        yield


def check_options(arguments: Sequence[str]) -> Any:
    """Refuse options that Snakemake does not know, and those with which it would wait for ever.

    Returns
    -------
    argparse.Namespace
        What Snakemake understands; empty where it only tells its version.

    Raises
    ------
    SparseError
        With what Snakemake says, without its 100 lines of usage.
    """
    from snakemake.cli import CliException, parse_args

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            _, parsed = parse_args(list(arguments))
    except SystemExit as end:
        if not end.code:  # --version
            return argparse.Namespace()
        last = said.getvalue().strip().rpartition("\n")[2]
        raise SparseError(f"{last.rpartition('error: ')[2]} (options of Snakemake)") from end
    except (CliException, OSError) as error:
        raise SparseError(f"{error} (options of Snakemake)") from error
    for name, word in (("cores", "all"), ("jobs", "unlimited")):
        given = getattr(parsed, name)
        if given not in (None, word) and not _is_number(given):
            raise SparseError(
                f"--{name} must be a whole number of at least 1, or {word}, got {given}"
            )
    return parsed


def _threads(grid: Grid, parsed: Any, on_cluster: bool) -> JobThreads:
    """Cores of the jobs with the options that Snakemake has understood."""
    experiment = grid.experiment
    if on_cluster:
        return job_threads_on_cluster(experiment)
    # Snakemake takes --jobs for --cores where the latter is not given
    cores = getattr(parsed, "cores", None) or getattr(parsed, "jobs", None)
    limit = (getattr(parsed, "resources", None) or {}).get("gpu")
    gpus = num_gpus(experiment) if limit is None else min(num_gpus(experiment), limit.value)
    return job_threads(experiment, cores if isinstance(cores, int) else default_cores(), gpus)


def _shared_gpus(grid: Grid, jobs: Mapping[str, Job], parsed: Any, on_cluster: bool) -> list[str]:
    """Options by which Snakemake starts as many jobs as have room on the GPUs."""
    if on_cluster:
        packed = packed_on_cluster(grid.experiment)
        groups = dict.fromkeys(job.group for job in jobs_of(jobs, TrainJob))
        together = [f"{group}={packed}" for group in groups]
        return ["--group-components", *together] if packed > 1 else []
    limits = getattr(parsed, "resources", None) or {}
    if "gpu" not in limits or limits["gpu"].value == _NO_LIMIT:
        return []
    gpus = int(limits["gpu"].value)
    cores = getattr(parsed, "cores", None)
    most = most_per_gpu(grid.experiment, gpus, cores if isinstance(cores, int) else None)
    if most == 1:
        return []
    several = {name: limit.value for name, limit in limits.items()} | {"gpu": gpus * most}
    return ["--resources", *(f"{name}={value}" for name, value in several.items())]


def _is_number(text: object) -> bool:
    return str(text).isdecimal() and int(str(text)) > 0


def _given(options: Sequence[str]) -> set[str]:
    """Names of options."""
    return {option.partition("=")[0] for option in options}


def _defaults(options: Sequence[str]) -> list[str]:
    """Options that the user has not given."""
    given = _given(options)
    chosen = ["--rerun-incomplete", "--keep-going", "--rerun-triggers", "mtime"]
    if given.isdisjoint({"--profile", "--cores", "-c", "--jobs", "-j", "--executor", "-e"}):
        chosen += ["--cores", str(default_cores())]
    if given.isdisjoint({"--profile", "--resources", "--res", "--executor", "-e"}):
        # without GPUs the cores are the limit
        chosen += ["--resources", f"gpu={len(usable_gpus()) or _NO_LIMIT}"]
    waiting = {"--latency-wait", "--output-wait", "-w"}
    if not given.isdisjoint({"--executor", "-e"}) and given.isdisjoint(waiting | {"--profile"}):
        chosen += ["--latency-wait", _SECONDS_FOR_FILES]
    if given.isdisjoint({"--profile", "--scheduler"}):
        # jobs are alike: there is nothing for the other to solve, which takes longer with each job
        chosen += ["--scheduler", "greedy"]
    if given.isdisjoint(_TALKATIVE):
        chosen += ["--quiet", "all"]
    return chosen


class _Progress(threading.Thread):
    """Tells which jobs are done or have failed while Snakemake is quiet."""

    def __init__(self, grid: Grid, jobs: Collection[str]) -> None:
        super().__init__(daemon=True)
        self.folder = GridFolder(grid.folder)
        self.failed_before = {name for name in jobs if self.folder.failure(name).exists()}
        self.left = {name for name in jobs if not self.folder.done(name).exists()}
        self.total = len(jobs)
        self.ended = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.join()

    def run(self) -> None:
        """Look at the files of the jobs until told to end."""
        with tqdm(total=self.total, initial=self.total - len(self.left), disable=None) as bar:
            while not self.ended.wait(_SECONDS_BETWEEN_LOOKS):
                self._look(bar)
            self._look(bar)

    def _look(self, bar: "tqdm[NoReturn]") -> None:
        for name in sorted(self.left):
            if self.folder.done(name).exists():
                self.left.remove(name)
                bar.update()
                logger.info("%d of %d: %s", self.total - len(self.left), self.total, name)
            failed = self.folder.failure(name).exists()
            if failed and name not in self.failed_before:
                logger.info("failed: %s, see %s", name, self.folder.log(name))
                self.failed_before.add(name)
            elif not failed:
                self.failed_before.discard(name)


def _snakemake(arguments: Sequence[str], limited: bool = True) -> int:
    """Run Snakemake in this process, so that it ends when this one is killed.

    With a limit of jobs per second it looks at all jobs again every second, and once more for each
    job that has ended: after some hundred jobs it keeps a core busy.
    """
    from snakemake.cli import args_to_api, parse_args
    from snakemake.exceptions import print_exception

    # it has a handler of its own
    logging.getLogger("snakemake").propagate = False
    before = sys.argv
    sys.argv = ["snakemake", *arguments]
    try:
        parser, parsed = parse_args(list(arguments))
        if not limited:
            parsed.max_jobs_per_timespan = None
        return 0 if args_to_api(parsed, parser) else 1
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception as error:  # as its own command does
        print_exception(error)
        return 1
    finally:
        sys.argv = before
