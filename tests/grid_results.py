"""Results of experiments that nobody has run."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nnunet_sparse.evaluation.evaluate import SUMMARY_FILE
from nnunet_sparse.grid.cells import Training
from nnunet_sparse.grid.job_records import Record
from nnunet_sparse.grid.jobs import Job, ScoreJob, job_graph, jobs_of
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.results import Result
from nnunet_sparse.grid.runner import asked_for
from nnunet_sparse.grid.step_work import Work
from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.report.grid.paired_statistics import pooled_iou
from nnunet_sparse.selection.budget import AMOUNT
from nnunet_sparse.selection.variant import FACTORS, Variant


def result(
    iou: float | None = 0.5, *, counts: np.ndarray | None = None, size: int = 1000, **changes: Any
) -> Result:
    """A result with these counts, or with ten equal cases that give an IoU."""
    if counts is None:
        counts = counts_of(iou or 0, size)
    found = float(np.mean(pooled_iou(counts)))
    variant = Variant(**_factors(changes))
    values: dict[str, Any] = {
        "task": "Hippocampus",
        "configuration": "2d",
        "trainer": "SparseTrainer",
        "plans": "nnsparsePlans",
        "repeat": 0,
        "kind": "sparse",
        "num_slices": 200,
        "label": "mean",
        "batched_IoU": found,
        "batched_Dice": 2 * found / (1 + found),
        "Dice": 0.7,
        "IoU": 0.6,
        "HD95_mm": 3.0,
        "NSD": 0.9,
        "num_cases": counts.shape[-2],
        "training_s": 60.0,
        "device": "cpu",
        "key": "",
        "selection": "",
        "versions": "",
        **{name: value for name, value in changes.items() if name not in FACTORS},
    }
    values.setdefault("dataset", variant.dataset_suffix(values["task"]))
    return Result(**values, variant=variant, counts=counts)


def _factors(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Factors among changes; the density is 0.2 where no other amount is given."""
    given = {name: value for name, value in changes.items() if name in FACTORS}
    method = given.pop("interpolation", "")
    if not any(name in given for name in AMOUNT):
        given["rho"] = 0.2
    return given | ({"interpolation": Interpolation(method)} if method else {})


def grid_of_results(noise: float = 0.002) -> list[Result]:
    """More volumes are better, and random is better than fixed."""
    rng = np.random.default_rng(0)
    return [
        result(
            0.5
            + 0.03 * np.log(rho)
            + 0.06 * np.log(s)
            + 0.02 * (selector == "random")
            + rng.normal(0, noise),
            task="Tiny",
            rho=rho,
            s=s,
            selector=selector,
            repeat=repeat,
            key=f"{rho} {s} {selector} {repeat}",
            size=100_000,
        )
        for rho in (0.1, 0.2, 0.4)
        for s in (0.25, 0.5, 1.0)
        for selector in ("fixed", "random")
        for repeat in range(2)
    ]


def counts_of(iou: float, size: int = 1000, num_cases: int = 10) -> np.ndarray:
    """Counts of equal cases in which a part of the truth is found and nothing else."""
    tp = round(size * iou)
    return np.tile([tp, 0, size - tp], (num_cases, 1))


def pretend(
    grid: Grid,
    iou_of: Callable[[Training], float | None] = lambda _: 0.5,
    labels: Sequence[str] = ("organ",),
) -> None:
    """Leave the records and scores of trainings that were never run; None: not done."""
    jobs = job_graph(grid)
    work = Work(grid)
    for job in jobs_of(jobs, ScoreJob):
        if (iou := iou_of(job.subject)) is not None:
            _pretend_training(work, jobs, job.subject, iou, labels)


def _pretend_training(
    work: Work, jobs: Mapping[str, Job], training: Training, iou: float, labels: Sequence[str]
) -> None:
    folder = work.folder
    variant, key = training.of.variant, training.key
    facts = {
        f"dataset/{training.of.suffix}": {
            "dataset": f"Dataset600_{training.of.suffix}",
            "num_slices": _num_slices(variant),
        },
        f"train/{key}": {"training_s": 60.0, "device": "cpu"},
        f"score/{key}": {},
    }
    for name, known in facts.items():
        folder.write(name, Record(name, asked_for(work, jobs[name]), {}, 1.0, known))
    predictions = folder.predictions(key)
    predictions.mkdir(parents=True, exist_ok=True)
    (predictions / SUMMARY_FILE).write_text(json.dumps({"nnsparse": _summary(iou, labels)}))


def _num_slices(variant: Variant) -> int:
    """Of ten volumes with 100 slices each."""
    of_each = variant.slices_per_volume or 100 * (variant.rho or 0)
    return variant.budget or round(10 * of_each * variant.s)


def _summary(iou: float, labels: Sequence[str]) -> dict[str, Any]:
    counts = counts_of(iou).tolist()
    of_cases = [dict(zip(("TP", "FP", "FN"), case, strict=True)) for case in counts]
    means = {metric: {"mean": iou} for metric in ("Dice", "IoU", "HD95_mm", "NSD")}
    row = {"batched_IoU": iou, "batched_Dice": 2 * iou / (1 + iou), **means}
    return {
        "num_cases": len(counts),
        "per_label": {str(k): {"name": name, **row} for k, name in enumerate(labels, 1)},
        "per_case": [
            {"case": f"{i:02d}", "labels": {str(k): case for k in range(1, len(labels) + 1)}}
            for i, case in enumerate(of_cases)
        ],
    }
