"""All results of an experiment in one table, from which its report's tables are made again.

The table has the columns of ``results.csv`` and, behind them, what statistics need besides scores:

=============  =====================================================================================
``kinds``      kinds of which the training is a cell, with spaces between (``dense sparse``)
``is_extra``   whether it is a check beside the comparison
``is_target``  whether the row is the one by which its training is compared
``factors``    the variant as JSON, by which columns of factors need not be understood
``counts``     true positive, false positive and false negative voxels of each test case, as
               ``12 3 4;15 0 2``; of a mean over labels one after the other, as ``12 3 4|9 1 1``
=============  =====================================================================================

It holds what has been scored, and nothing of what is missing or excluded.
"""

import csv
import io
import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.grid.results import METRICS, Result, result_rows
from nnunet_sparse.report.grid.panels import AskedTraining, kinds_of_cell
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.atomic import write_text
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import parse_json
from nnunet_sparse.system.regular_files import read_regular
from nnunet_sparse.system.spreadsheet_cells import plain_cell, safe_cell

_OWN = ("kinds", "is_extra", "is_target", "factors", "counts")
_WHOLE = ("repeat", "num_slices", "num_cases")
_NUMBERS = (*METRICS, "training_s")
_TRUTH = {"True": True, "False": False}
_OF_CASE, _NDIM_OF_MEAN = 3, 3
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, SparseError)


def check_free_for_results(file: Path) -> None:
    """Refuse a file that is something else than results that were kept before.

    Raises
    ------
    SparseError
        If it would be replaced, or its name does not end as those of tables do.
    """
    if file.suffix != ".csv":
        raise SparseError(f"results are kept in a file whose name ends in .csv, got {file}")
    if file.is_dir():
        raise SparseError(f"{file} is a folder")
    if file.exists():
        first, _, _ = read_regular(file).partition(b"\n")
        if not set(_OWN) <= set(first.decode("utf-8", "replace").strip().split(",")):
            raise SparseError(f"{file} is something else than kept results: choose another name")


def write_kept_results(
    results: Sequence[Result], asked: Sequence[AskedTraining], file: Path
) -> None:
    """Write all results of an experiment.

    Parameters
    ----------
    results
        One for each training and label, as of :func:`nnunet_sparse.grid.results.read_results`.
    asked
        Every training that the experiment asks for.
    file
        Where they are written; it is replaced.
    """
    wanted = set(asked)
    extra = {training.panel for training in asked if training.is_extra}
    rows: list[dict[str, object]] = [
        {**row, **_own_columns(result, wanted, extra)}
        for row, result in zip(result_rows(results), results, strict=True)
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows([safe_cell(value) for value in row.values()] for row in rows)
    write_text(file, text.getvalue())


def _own_columns(
    result: Result, wanted: Container[AskedTraining], extra: Container[tuple[str, ...]]
) -> dict[str, str]:
    """The columns behind those of ``results.csv``."""
    training = AskedTraining.of_result(result)
    of_labels = result.counts if result.is_mean else result.counts[None]
    return {
        "kinds": " ".join(kinds_of_cell(training, wanted)),
        "is_extra": str(training.panel in extra),
        "is_target": str(result.is_target),
        "factors": json.dumps(result.variant.to_json(), sort_keys=True),
        "counts": "|".join(
            ";".join(" ".join(str(int(number)) for number in case) for case in counts)
            for counts in of_labels
        ),
    }


def read_kept_results(files: Sequence[Path]) -> tuple[list[Result], list[AskedTraining]]:
    """Results of one experiment, or of several together, and what was asked for.

    A training that several experiments share counts once.

    Raises
    ------
    SparseError
        If a file cannot be read, is no table of this kind, or two of them differ in a training.
    """
    found: dict[tuple[str, str], Result] = {}
    asked: dict[AskedTraining, None] = {}
    for file in files:
        for result, trainings in _read(file):
            key = (result.key, result.label)
            known = found.setdefault(key, result)
            if not np.array_equal(known.counts, result.counts):
                raise SparseError(
                    f"{file}: {result.key} has other scores than in another file: the same "
                    "training was done twice; leave one of the files out"
                )
            asked |= dict.fromkeys(trainings)
    return list(found.values()), list(asked)


def _read(file: Path) -> list[tuple[Result, list[AskedTraining]]]:
    try:
        text = read_regular(file).decode("utf-8")
    except OSError as error:
        raise SparseError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SparseError(f"{file} is no text in UTF-8") from error
    reader = csv.DictReader(io.StringIO(text))
    found = []
    try:
        missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise SparseError(
                f"{file} has no column {missing[0]}: tables that can be read again are written by "
                f"nnsparse_report GRID.yaml --export {file.name}"
            )
        for row in reader:
            try:
                found.append(_result(row))
            except _UNREADABLE as error:
                raise SparseError(
                    f"{file}, line {reader.line_num}: it was not written by this program, or has "
                    f"been changed ({error})"
                ) from error
    except csv.Error as error:
        raise SparseError(f"{file}, line {reader.line_num}: {error}") from error
    if not found:
        raise SparseError(f"{file} holds no results")
    return found


def _result(row: Mapping[str, str]) -> tuple[Result, list[AskedTraining]]:
    """Result of a row, and the trainings that it stands for."""
    values: dict[str, Any] = {name: plain_cell(row[name]) for name in _TEXTS}
    values |= {name: int(row[name]) for name in _WHOLE}
    values |= {name: float(row[name]) if row[name] else None for name in _NUMBERS}
    variant, counts = Variant.from_json(parse_json(row["factors"])), _counts(row["counts"])
    is_target = _TRUTH[row["is_target"]]
    result = Result(**values, variant=variant, counts=counts, is_target=is_target)
    training = replace(AskedTraining.of_result(result), is_extra=_TRUTH[row["is_extra"]])
    return result, [replace(training, kind=kind) for kind in row["kinds"].split()]


def _counts(text: str) -> np.ndarray:
    """Counts (cases, 3), or of a mean (labels, cases, 3)."""
    of_labels = [
        [[int(number) for number in case.split(" ")] for case in label.split(";")]
        for label in text.split("|")
    ]
    counts = np.array(of_labels, dtype=np.int64)
    if counts.ndim != _NDIM_OF_MEAN or counts.shape[-1] != _OF_CASE or (counts < 0).any():
        raise ValueError("counts must be three numbers of voxels for each test case")
    return counts if len(counts) > 1 else counts[0]


_NOT_TEXT = {*_WHOLE, *_NUMBERS, "variant", "counts", "is_target"}
_TEXTS = tuple(item.name for item in fields(Result) if item.name not in _NOT_TEXT)
_COLUMNS = (*_TEXTS, *_WHOLE, *_NUMBERS, *_OWN)
