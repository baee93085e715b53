"""The results of an experiment: one tidy table, and the counts behind it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nnunet_sparse.data.raw_dataset import SELECTION_FILE
from nnunet_sparse.evaluation.evaluate import SUMMARY_FILE
from nnunet_sparse.grid.cells import Base, Training
from nnunet_sparse.grid.job_records import GridFolder
from nnunet_sparse.grid.jobs import ScoreJob, job_graph, jobs_of
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.runner import is_asked_for
from nnunet_sparse.grid.scored_labels import counted_labels
from nnunet_sparse.grid.step_work import Work
from nnunet_sparse.grid.stored_scores import BATCHED, MEANS, read_scores
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.selection.variant import Value, Variant, table_factors
from nnunet_sparse.system.atomic import atomic_path, json_digest, write_text
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.spreadsheet_cells import safe_cell

MEAN = "mean"
"""Name of the mean over the labels of a task that count, where there are several."""

_OTHER_MEAN = "mean over labels"
_NDIM_OF_MEAN = 3


@dataclass(frozen=True)
class Result:
    """Scores of one label in one training; None where undefined.

    Attributes
    ----------
    task
        Name of the base without ``DatasetXXX_``.
    configuration, trainer, plans, repeat
        How it was trained.
    kind
        ``dense``, ``sparse``, ``interpolated`` or ``partner``, see
        :class:`nnunet_sparse.grid.cells.CellVariant`.
    variant
        Its factors.
    num_slices
        Annotated slices.
    label
        Name of the label, or ``mean`` of those that count (``mean over labels`` where a label is
        called so).
    batched_IoU, batched_Dice
        Of the voxels of all test cases together.
    Dice, IoU, HD95_mm, NSD
        Means over the test cases where they are defined.
    num_cases
        Test cases.
    training_s
        Seconds of the training's epochs.
    device
        ``cpu`` or ``cuda``.
    key
        Name of its files in the folder of the experiment.
    dataset, selection
        Full name of the data set, and a hash of the slices that are annotated in it.
    versions
        Of the software that trained it.
    counts
        (cases, 3): true positive, false positive and false negative voxels of each test case, in
        the order of their names; not part of the table. Of a mean: (labels, cases, 3).
    is_target
        Whether it is the one by which its training is compared with others: that of the only label
        that counts, or the mean of several. Not part of the table.
    """

    task: str
    configuration: str
    trainer: str
    plans: str
    repeat: int
    kind: str
    variant: Variant
    num_slices: int
    label: str
    batched_IoU: float | None  # noqa: N815 - as everywhere in this software
    batched_Dice: float | None  # noqa: N815
    Dice: float | None
    IoU: float | None
    HD95_mm: float | None
    NSD: float | None
    num_cases: int
    training_s: float | None
    device: str
    key: str
    dataset: str
    selection: str
    versions: str
    counts: np.ndarray = field(repr=False, compare=False)
    is_target: bool = field(default=True, repr=False, compare=False)

    @property
    def is_mean(self) -> bool:
        """Whether it is the mean over the labels of a task."""
        return self.counts.ndim == _NDIM_OF_MEAN

    @property
    def is_collapsed(self) -> bool:
        """Whether nothing of what is there was found, in all test cases together.

        Of a mean: of all of its labels. Where the truth is empty, nobody can tell.
        """
        true_positive, _, false_negative = self.counts.reshape(-1, 3).sum(axis=0)
        return bool(true_positive == 0 and false_negative > 0)


METRICS = (*BATCHED, *MEANS)


def read_results(grid: Grid) -> list[Result]:
    """Scores of every training that has been scored, label by label.

    Raises
    ------
    SparseError
        If a task names a label that its base does not have, or a summary is damaged.
    """
    folder, jobs = GridFolder(grid.folder), job_graph(grid)
    work = Work(grid)
    found: list[Result] = []
    counted = _CountedLabels(grid)
    for job in jobs_of(jobs, ScoreJob):
        if folder.read(job.name) is not None:
            train = jobs[f"train/{job.key}"]
            record = folder.read(train.name)
            # not of other settings with the same name of plans
            if record is None or is_asked_for(work, train, record):
                found += _of_training(grid, folder, job.subject, counted)
    return found


class _CountedLabels:
    """Labels that count, of each base looked up once."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._found: dict[tuple[str, ...], list[str]] = {}

    def of(self, base: Base, names: Sequence[str]) -> list[str]:
        """Those of some labels that count."""
        key = (base.suffix, *names)
        if key not in self._found:
            self._found[key] = counted_labels(self._grid, base, names)
        return self._found[key]


def _of_training(
    grid: Grid, folder: GridFolder, training: Training, labels_of: _CountedLabels
) -> Iterator[Result]:
    file = folder.predictions(training.key) / SUMMARY_FILE
    try:
        scores = read_scores(file)
    except FileNotFoundError:
        return  # deleted; the next run makes it again
    except SparseError as error:
        raise SparseError(f"{error}: it is damaged; run the experiment again") from error
    rows = {row["name"]: (key, row) for key, row in scores["per_label"].items()}
    record = folder.read(f"train/{training.key}")
    facts = record.facts if record else {}
    made = folder.read(f"dataset/{training.of.suffix}")
    dataset = str(made.facts["dataset"]) if made else ""
    way = training.configuration
    base, names = training.of.base, [name for name in rows if name is not None]
    counted = labels_of.of(base, names)
    # labels that the file names are the only ones that somebody wants to see
    labels = counted if base.task.labels else names
    common: dict[str, Any] = {
        "task": base.suffix,
        "configuration": way.configuration,
        "trainer": way.trainer,
        "plans": training.plans,
        "repeat": training.repeat,
        "kind": training.of.kind,
        "variant": training.of.variant,
        "num_slices": made.facts["num_slices"] if made else 0,
        "num_cases": scores["num_cases"],
        "training_s": facts.get("training_s"),
        "device": facts.get("device", ""),
        "key": training.key,
        "dataset": dataset,
        "selection": _digest(grid.paths.raw / dataset / SELECTION_FILE) if made else "",
        "versions": facts.get("software", ""),
    }
    of_labels = [
        Result(
            **common,
            label=label,
            **_scores(rows[label][1]),
            counts=_counts(scores, key),
            is_target=counted == [label],
        )
        for label in labels
        for key in [rows[label][0]]
    ]
    yield from of_labels
    if len(counted) > 1:
        yield _mean([result for result in of_labels if result.label in counted], names)


def _scores(row: Mapping[str, Any]) -> dict[str, Any]:
    means = {metric: row[metric]["mean"] for metric in MEANS}
    return {**{metric: row[metric] for metric in BATCHED}, **means}


def _counts(scores: Mapping[str, Any], key: str) -> np.ndarray:
    cases = sorted(scores["per_case"], key=lambda case: str(case["case"]))
    found = [[case["labels"][key][part] for part in ("TP", "FP", "FN")] for case in cases]
    return np.array(found, dtype=np.int64)


def _mean(of_labels: Sequence[Result], names: Sequence[str]) -> Result:
    """Mean over labels where all are defined; ``names`` are those of every label."""
    means: dict[str, Any] = {}
    for metric in METRICS:
        values = [getattr(result, metric) for result in of_labels]
        defined = [value for value in values if value is not None]
        means[metric] = float(np.mean(defined)) if len(defined) == len(values) else None
    counts = np.stack([result.counts for result in of_labels])
    name = _OTHER_MEAN if MEAN in names else MEAN
    return replace(of_labels[0], label=name, counts=counts, is_target=True, **means)


def _digest(file: Path) -> str:
    """Hash of the annotated slices of each case; other entries of the file do not count."""
    if not file.is_file():
        return ""
    cases = {case: list(chosen.slices) for case, chosen in Selection.read(file).cases.items()}
    return json_digest(cases, 16)


def target_results(results: Iterable[Result]) -> list[Result]:
    """One result of each training: of the only label that counts, or the mean of several."""
    return [result for result in results if result.is_target]


def _row(result: Result, factors: Sequence[str]) -> dict[str, Value | int]:
    """Columns of the table: the attributes, with factors in place of the variant."""
    row: dict[str, Value | int] = {}
    for item in fields(result):
        if item.name == "variant":
            row |= {factor: result.variant.value(factor) for factor in factors}
        elif item.name not in ("counts", "is_target"):
            row[item.name] = getattr(result, item.name)
    return row


def result_rows(results: Sequence[Result]) -> list[dict[str, Value | int]]:
    """Rows of the table of results: the attributes, with factors in place of the variant."""
    factors = table_factors(result.variant for result in results)
    return [_row(result, factors) for result in results]


def write_results(results: Sequence[Result], folder: Path) -> list[Path]:
    """Write ``results.csv``, and ``results.parquet`` where pyarrow is installed.

    Where any training collapsed, the last column ``collapsed`` says which.

    Parameters
    ----------
    results
        At least one.
    folder
        Where they are written.

    Returns
    -------
    list of Path
        The files.
    """
    rows = result_rows(results)
    collapsed = {result.key for result in target_results(results) if result.is_collapsed}
    if collapsed:
        rows = [row | {"collapsed": row["key"] in collapsed} for row in rows]
    # whole numbers stay whole beside others
    safe = [{name: safe_cell(value) for name, value in row.items()} for row in rows]
    table = pd.DataFrame(safe, dtype=object)
    files = [folder / "results.csv"]
    write_text(files[0], table.to_csv(index=False, lineterminator="\n"))
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        return files
    files.append(folder / "results.parquet")
    with atomic_path(files[1]) as temporary:
        pq.write_table(pa.Table.from_pylist(rows), temporary)
    return files
