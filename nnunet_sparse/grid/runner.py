"""Doing one job of an experiment.

A job is done once, by one process: others that are asked for it wait. What is done is known from
its record, and looked for as well, so that files that were deleted are made again.
"""

import logging
import os
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from nnunet_sparse.grid.experiment import AUTO
from nnunet_sparse.grid.job_records import GridFolder, Record
from nnunet_sparse.grid.job_threads import default_cores, job_threads, num_gpus
from nnunet_sparse.grid.job_work import work_of
from nnunet_sparse.grid.jobs import Job, job_graph
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.shared_gpu import done_on_gpu
from nnunet_sparse.grid.step_work import Facts, StepWork, Work
from nnunet_sparse.system.atomic import as_json, write_json
from nnunet_sparse.system.env import training_environment
from nnunet_sparse.system.errors import SparseError, os_error_message
from nnunet_sparse.system.locks import locked

logger = logging.getLogger(__name__)


def run_job(grid: Grid, job: Job, threads: int | None = None) -> None:
    """Do a job, unless it is done; the jobs before it must be.

    Parameters
    ----------
    grid
        The experiment.
    job
        One of its jobs.
    threads
        Processor cores of the job; None for those that the file asks for on this machine.

    Raises
    ------
    SparseError
        If it cannot be done.
    """
    folder = GridFolder(grid.folder)
    lock, failure = folder.lock(job.name), folder.failure(job.name)
    for file in (lock, failure, folder.done(job.name)):
        file.parent.mkdir(parents=True, exist_ok=True)
    if threads is None:
        experiment = grid.experiment
        threads = job_threads(experiment, default_cores(), num_gpus(experiment)).of(job)
    work = Work(grid, threads)
    _set_environment(work, job)
    with locked(lock, f"{job.name} is being done by another process, waiting for it"):
        failure.unlink(missing_ok=True)
        try:
            _run_locked(work, job)
        except Exception as error:
            said = os_error_message(error) if isinstance(error, OSError) else str(error)
            with suppress(OSError):  # the disk may be full, which is the error
                failure.write_text(f"{said}\n", encoding="utf-8")
            raise


def _run_locked(work: Work, job: Job) -> None:
    folder = work.folder
    inputs = {name: folder.read_done(name).run for name in job.inputs}
    record = folder.read(job.name)
    if record is not None and _is_current(work, job, record, inputs):
        logger.info("%s was done before", job.name)
    else:
        step, needs_gpu = work_of(job), job.on_device and work.device == "cuda"
        do = partial(_timed, step, work, job)
        with step.held(work, job):
            start, facts = done_on_gpu(work, job, do) if needs_gpu else do()
        seconds = round(time.monotonic() - start, 2)
        record = Record(uuid.uuid4().hex, asked_for(work, job), inputs, seconds, facts)
        folder.write(job.name, record)
        logger.info("%s: done in %.0f s", job.name, seconds)
    write_json(folder.done(job.name), {"run": record.run})


def _timed(step: StepWork[Any], work: Work, job: Job) -> tuple[float, Facts]:
    """When the work began, and what is worth knowing of it."""
    return time.monotonic(), step.do(work, job)


def forget_outdated(grid: Grid) -> None:
    """Let Snakemake look again at jobs that are not what the file asks for now, or are gone.

    It knows the files in ``done`` alone, and takes what is there for good.
    """
    folder = GridFolder(grid.folder)
    for name in outdated(Work(grid), job_graph(grid)):
        if folder.done(name).is_file():
            logger.info("%s is looked at again", name)
            folder.done(name).unlink()


def outdated(work: Work, jobs: Mapping[str, Job]) -> list[str]:
    """Jobs that a run looks at again: not done, gone, asked for anew, or after such a job."""
    found: dict[str, None] = {}
    for name, job in jobs.items():
        # what is there cannot be told where the jobs before must be done first
        if not found.keys().isdisjoint(job.inputs) or not _is_done(work, job):
            found[name] = None
    return list(found)


def _is_done(work: Work, job: Job) -> bool:
    """Whether a job and those before it have been done as they are asked for."""
    record = work.folder.read(job.name)
    before = {name: work.folder.read(name) for name in job.inputs}
    if record is None or None in before.values():
        return False
    inputs = {name: found.run for name, found in before.items() if found is not None}
    return _is_current(work, job, record, inputs)


def asked_for(work: Work, job: Job) -> Facts:
    """What a job is asked for, as a record gives it back."""
    content: Facts = as_json(work_of(job).asked(work, job))
    return content


def is_asked_for(work: Work, job: Job, record: Record) -> bool:
    """Whether a job was done as the file asks for it now."""
    return dict(record.asked) == asked_for(work, job)


def _is_current(work: Work, job: Job, record: Record, inputs: Mapping[str, str]) -> bool:
    """Whether what a record tells of is there and is what is asked for now."""
    if not is_asked_for(work, job, record) or not _is_there(work, job):
        return False
    return not work_of(job).follows_inputs or dict(record.inputs) == dict(inputs)


def _is_there(work: Work, job: Job) -> bool:
    try:
        return work_of(job).is_there(work, job)
    except SparseError as error:  # half of it was deleted
        logger.debug("%s: %s", job.name, error)
        return False


def set_shared_environment(work: Work) -> None:
    """Set what torch and nnU-Net read when they are imported, for jobs with as many threads."""
    threads = str(work.num_processes)
    os.environ.update(training_environment(work.grid.paths))
    os.environ["nnUNet_def_n_proc"] = threads
    os.environ.setdefault("OMP_NUM_THREADS", threads)


def _set_environment(work: Work, job: Job) -> None:
    """Set what nnU-Net reads for a job."""
    experiment = work.grid.experiment
    set_shared_environment(work)
    # a process of its own for batches pays with a GPU only
    has_gpu = job.on_device and work.device == "cuda"
    workers = str(work.num_processes - 1 if has_gpu else 0)
    if has_gpu and experiment.threads == AUTO:
        # what the user has set was the number to begin with, and the job has no more cores
        os.environ["nnUNet_n_proc_DA"] = workers
    else:
        os.environ.setdefault("nnUNet_n_proc_DA", workers)
