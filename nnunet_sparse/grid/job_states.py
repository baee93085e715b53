"""How far an experiment is."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from nnunet_sparse.grid.job_records import GridFolder
from nnunet_sparse.grid.jobs import STEPS, Job, ScoreJob, TrainingJob, job_graph, jobs_of
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.runner import outdated
from nnunet_sparse.grid.step_work import Work
from nnunet_sparse.system.wording import duration

DONE, RUNNING, FAILED, STOPPED, WAITING = "done", "running", "failed", "stopped", "waiting"
STATES = (DONE, RUNNING, FAILED, STOPPED, WAITING)
_NUM_LINES = 3
_NUM_FAILED = 10
# remedies stand at the end of long lines
_LINE_LENGTH = 500


@dataclass(frozen=True)
class Status:
    """State of every job.

    Attributes
    ----------
    states
        By name of the job: ``done``, ``running``, ``failed`` (it ended with an error), ``stopped``
        (it was killed) or ``waiting``.
    jobs
        The jobs.
    folder
        The experiment's folder.
    """

    states: Mapping[str, str]
    jobs: Mapping[str, Job]
    folder: GridFolder

    def of(self, *wanted: str) -> list[str]:
        """Names of the jobs in some states."""
        return [name for name, state in self.states.items() if state in wanted]

    @property
    def seconds_left(self) -> float | None:
        """Seconds that are left with one job at a time; None where a step was never timed."""
        times: dict[str, list[float]] = defaultdict(list)
        left: Counter[str] = Counter()
        for name, state in self.states.items():
            job = self.jobs[name]
            kind = job.step
            if isinstance(job, TrainingJob):
                kind += f"/{job.subject.configuration.configuration}"
                kind += f"/{job.subject.configuration.trainer}/{job.subject.plans}"
            if state == DONE:
                record = self.folder.read(name)
                if record is not None:
                    times[kind].append(record.duration_s)
            else:
                left[kind] += 1
        if any(kind not in times for kind in left):
            return None
        return sum(statistics.mean(times[kind]) * count for kind, count in left.items())


def grid_status(grid: Grid) -> Status:
    """State of every job of an experiment, as the next run would find it; nothing is changed."""
    folder, jobs = GridFolder(grid.folder), job_graph(grid)
    again = set(outdated(Work(grid), jobs))
    return Status({name: _state(folder, name, name in again) for name in jobs}, jobs, folder)


def _state(folder: GridFolder, name: str, is_outdated: bool) -> str:
    if _is_held(folder.lock(name)):
        return RUNNING
    # it may have been done before
    if folder.failure(name).is_file():
        return FAILED
    if not is_outdated:
        return DONE
    was_stopped = folder.log(name).is_file() and not folder.record(name).is_file()
    return STOPPED if was_stopped else WAITING


def _is_held(file: Path) -> bool:
    """Whether a process works under this lock."""
    if not file.exists():
        return False
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def status_report(status: Status) -> str:
    """Tables of jobs and cells, what failed with the last lines of its log, and the time left."""
    lines = [f"{'step':<14}" + "".join(f"{state:>9}" for state in STATES)]
    for step in STEPS:
        counts = Counter(s for name, s in status.states.items() if status.jobs[name].step == step)
        if counts:
            numbers = "".join(f"{counts[state] or '':>9}" for state in STATES)
            lines.append(f"{step:<14}{numbers}")
    lines += ["", *_cells(status)]
    for name in status.of(FAILED, STOPPED)[:_NUM_FAILED]:
        log = status.folder.log(name)
        lines += ["", f"{status.states[name]}: {name}", *(f"  {x}" for x in last_lines(log))]
        lines.append(f"  all of it: {log}")
    if more := len(status.of(FAILED, STOPPED)) - _NUM_FAILED:
        lines += ["", f"and {more} more"] if more > 0 else []
    for name in status.of(RUNNING):
        lines += ["", f"running: {name}", *(f"  {x}" for x in last_lines(status.folder.log(name)))]
    return "\n".join([*lines, "", _time_left(status)])


def _cells(status: Status) -> list[str]:
    """How many repeats of each cell have been scored."""
    total: Counter[tuple[str, str]] = Counter()
    done: Counter[tuple[str, str]] = Counter()
    for job in jobs_of(status.jobs, ScoreJob):
        way = job.subject.configuration
        key = (job.subject.of.suffix, f"{way.configuration} {way.trainer}")
        total[key] += 1
        done[key] += status.states[job.name] == DONE
    if not total:
        return []
    width = max(len(suffix) for suffix, _ in total)
    return [f"{'data set':<{width}}  repeats that are scored"] + [
        f"{suffix:<{width}}  {done[suffix, way]} of {count}, {way}"
        for (suffix, way), count in total.items()
    ]


def last_lines(log: Path, count: int = _NUM_LINES) -> list[str]:
    """End of a log, without empty lines and progress bars."""
    try:
        text = log.read_bytes().decode(errors="replace")
    except OSError:
        return []
    # what a progress bar has overwritten is left out
    lines = [line.rstrip().rsplit("\r", maxsplit=1)[-1] for line in text.split("\n")]
    return [line[:_LINE_LENGTH] for line in lines if line.strip()][-count:]


def _time_left(status: Status) -> str:
    if not status.of(RUNNING, FAILED, STOPPED, WAITING):
        return "everything is done"
    seconds = status.seconds_left
    if seconds is None:
        return "time left: unknown until each kind of job has been done once"
    return f"time left: {duration(seconds)} with one job at a time"
