"""How long what is left of an experiment will take, from trainings that have ended."""

import re
import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_sparse.grid.cells import Training
from nnunet_sparse.grid.job_records import GridFolder, Record
from nnunet_sparse.grid.jobs import Job, PredictJob, TrainJob
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.step_work import device_of
from nnunet_sparse.system.nnunet_model import fold_folder, nnunet_model_name
from nnunet_sparse.system.wording import duration

_STEPS = {"train": "trainings", "predict": "predictions"}
# nnU-Net's log of every epoch
_EPOCH = re.compile(r"Epoch time: ([\d.]+) s")
_SECONDS_PER_HOUR = 3600


@dataclass
class _Way:
    """Times and numbers of the trainings and predictions of one way of training."""

    training: Training
    left: Counter[str] = field(default_factory=Counter)
    times: dict[str, list[float]] = field(default_factory=lambda: {step: [] for step in _STEPS})

    def add(self, step: str, record: Record | None) -> None:
        if record is None:
            self.left[step] += 1
        else:
            self.times[step].append(record.duration_s)

    @property
    def each(self) -> dict[str, float]:
        """Mean seconds by step, where known."""
        return {step: statistics.mean(times) for step, times in self.times.items() if times}

    @property
    def seconds(self) -> float | None:
        """Seconds of all that is left; None if a step was never timed."""
        each = self.each
        if any(step not in each for step in self.left):
            return None
        return sum(each[step] * count for step, count in self.left.items())


def time_lines(grid: Grid, jobs: Mapping[str, Job]) -> list[str]:
    """Time of the trainings and predictions that are left.

    Where the experiment has timed no training yet, logs of trainings of the same kind in
    ``nnUNet_results`` are looked at.
    """
    ways = _ways(grid, jobs)
    lines = [_line(way) for way in ways if way.left]
    total = [way.seconds for way in ways]
    known = [seconds for seconds in total if seconds is not None]
    if lines and len(known) == len(total):
        seconds = sum(known)
        text = f"time: {duration(seconds)} for all of them, one at a time"
        if device_of(grid) == "cuda":
            text += f": {seconds / _SECONDS_PER_HOUR:.1f} GPU hours"
        lines.append(text)
    return lines


def _ways(grid: Grid, jobs: Mapping[str, Job]) -> list[_Way]:
    folder = GridFolder(grid.folder)
    found: dict[str, _Way] = {}
    for name, job in jobs.items():
        if isinstance(job, TrainJob | PredictJob):
            way = found.setdefault(_model(job.subject), _Way(job.subject))
            record = folder.read(name)
            is_left = record is None and isinstance(job, TrainJob)
            if not (is_left and _is_trained(grid, job.subject)):
                way.add(job.step, record)
    for model, way in found.items():
        if not way.times["train"]:
            way.times["train"] = _logged(grid.paths.results, model)
    return list(found.values())


def _model(training: Training) -> str:
    """Name of the folder that nnU-Net gives a network."""
    way = training.configuration
    return nnunet_model_name(way.trainer, training.plans, way.configuration)


def _is_trained(grid: Grid, training: Training) -> bool:
    """Whether another experiment has trained it."""
    model = Path(f"Dataset???_{training.of.suffix}") / _model(training)
    summary = fold_folder(model, training.repeat) / "validation" / "summary.json"
    return any(grid.paths.results.glob(str(summary)))


def _logged(results: Path, model: str) -> list[float]:
    """Seconds of the epochs of all finished trainings of a kind, of whatever data set."""
    found = []
    for checkpoint in sorted(results.glob(f"*/{model}/fold_*/checkpoint_final.pth")):
        logs = checkpoint.parent.glob("training_log_*.txt")
        texts = [log.read_text(encoding="utf-8", errors="replace") for log in logs]
        if seconds := sum(float(each) for text in texts for each in _EPOCH.findall(text)):
            found.append(seconds)
    return found


def _line(way: _Way) -> str:
    of, each = way.training.configuration, way.each
    parts = []
    for step, name in _STEPS.items():
        if way.left[step]:
            time = f"{duration(each[step])} each" if step in each else "none has been timed"
            parts.append(f"{way.left[step]} {name} ({time})")
    kind = f"{of.configuration} {of.trainer} ({way.training.plans})"
    return f"time: {' and '.join(parts)} of {kind} left"
