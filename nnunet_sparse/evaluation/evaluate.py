"""``nnsparse_evaluate``: score a folder of predictions against dense labels."""

import argparse
import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.evaluation.case_metrics import CASE_METRICS
from nnunet_sparse.evaluation.evaluate_case import CaseFiles, CaseScores, Evaluation, evaluate_case
from nnunet_sparse.evaluation.evaluated_labels import (
    EvaluationLabels,
    find_dataset_json,
    find_images,
    labels_from_dataset_json,
    labels_from_list,
)
from nnunet_sparse.evaluation.metrics import Label, pool, summarize
from nnunet_sparse.evaluation.score_table import format_table
from nnunet_sparse.evaluation.surface_metrics import DEFAULT_TOLERANCE_MM
from nnunet_sparse.system import atomic
from nnunet_sparse.system.command import CommandParser, run_command
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.options import (
    add_num_processes_option,
    add_output_option,
    add_overwrite_option,
)
from nnunet_sparse.system.parallel import map_cases

logger = logging.getLogger(__name__)

SUMMARY_FILE = "nnsparse_summary.json"


def evaluate_folder(
    gt_folder: Path,
    pred_folder: Path,
    *,
    labels: Sequence[int] | None = None,
    ignore_label: int | None = None,
    dataset_json: Path | None = None,
    tolerance_mm: float = DEFAULT_TOLERANCE_MM,
    num_processes: int = 1,
    output: Path | None = None,
    overwrite: bool = False,
    chill: bool = False,
) -> dict[str, Any]:
    """Score predictions and write the summary as JSON.

    Parameters
    ----------
    gt_folder
        Ground truth, one segmentation per case; ``dataset.json`` is looked for beside it.
    pred_folder
        Predictions with the same file names; other kinds of files are skipped.
    labels
        Evaluate these labels, by default all labels (or regions) of ``dataset.json``.
    ignore_label
        Value of ground-truth voxels that count nowhere, by default that of ``dataset.json``.
    dataset_json
        Where to find ``dataset.json``, by default beside ``gt_folder``, then in ``pred_folder``.
        With ``labels`` it may be missing; then undeclared values go unnoticed.
    tolerance_mm
        Tolerance of NSD.
    num_processes
        Number of processes; the result does not depend on it.
    output
        File to write, by default ``nnsparse_summary.json`` in ``pred_folder``. nnU-Net's own
        ``summary.json`` is left alone.
    overwrite
        Replace an existing file of other content.
    chill
        Skip cases without prediction, as nnU-Net's option of that name does.

    Returns
    -------
    dict
        What the file holds. ``foreground_mean``, ``mean`` and ``metric_per_case`` are computed by
        nnU-Net, in its format (``load_summary_json`` reads the file), undefined values being null.
        ``nnsparse`` is ours; see :mod:`nnunet_sparse.evaluation.metrics` for the definitions::

            version: 1
            tolerance_mm, ignore_label, num_cases
            missing_predictions: [case, ...]            (with ``chill``)
            foreground_mean: mean over the labels for which the value is defined, 0 left out
                batched_IoU, batched_Dice, Dice, IoU, HD95_mm, NSD
            per_label: {"1" or "(1, 2)":
                name: as in dataset.json, or null
                TP, FP, FN: summed over all cases; batched_IoU, batched_Dice: computed from them
                Dice, IoU, HD95_mm, NSD: {mean, std (ddof = 1), num: cases where it is defined}
                num_empty, num_missed, num_false: cases where both masks, only the prediction, only
                    the ground truth is empty}
            per_case: [{case, num_ignored: ignored voxels, labels: {"1":
                Dice, IoU, TP, FP, FN, HD95_mm, NSD, reference_ml, prediction_ml}}]

    Raises
    ------
    SparseError
        If folders, files or labels do not fit together, or the output exists with other content.
    """
    output = output or pred_folder / SUMMARY_FILE
    check_output(output)
    summary = score_folder(
        gt_folder,
        pred_folder,
        labels=labels,
        ignore_label=ignore_label,
        dataset_json=dataset_json,
        tolerance_mm=tolerance_mm,
        num_processes=num_processes,
        chill=chill,
    )
    write_summary(summary, output, overwrite)
    return summary


def score_folder(
    gt_folder: Path,
    pred_folder: Path,
    *,
    labels: Sequence[int] | None = None,
    ignore_label: int | None = None,
    dataset_json: Path | None = None,
    tolerance_mm: float = DEFAULT_TOLERANCE_MM,
    num_processes: int = 1,
    chill: bool = False,
) -> dict[str, Any]:
    """Do what :func:`evaluate_folder` does, without writing anything."""
    if not (math.isfinite(tolerance_mm) and tolerance_mm >= 0):
        raise SparseError(f"the tolerance must be at least 0 mm, got {tolerance_mm}")
    for folder in (gt_folder, pred_folder):
        if not folder.is_dir():
            raise SparseError(f"{folder} is not a folder")
    chosen = _find_labels(gt_folder, pred_folder, labels, ignore_label, dataset_json)
    cases, missing = _match_cases(gt_folder, pred_folder, chosen.file_ending, chill)
    images = find_images(gt_folder)
    cases = {c: replace(files, image=images.get(c)) for c, files in cases.items()}
    evaluation = Evaluation(
        chosen.labels,
        chosen.ignore_label,
        chosen.declared,
        chosen.reader(next(iter(cases.values())).reference),
        tolerance_mm,
    )
    work = partial(evaluate_case, evaluation=evaluation)
    scores = map_cases(work, cases, num_processes, "Evaluating")
    summary = _nnunet_summary(cases, scores, evaluation.labels)
    summary["nnsparse"] = {
        "version": 1,
        "tolerance_mm": float(tolerance_mm),
        "ignore_label": chosen.ignore_label,
        "num_cases": len(cases),
        "missing_predictions": missing,
        **_aggregate(scores, chosen),
    }
    defined: dict[str, Any] = _null_for_nan(summary)
    return defined


def check_output(output: Path) -> None:
    """Refuse, before any work is done, a place where no summary can be written."""
    if output.suffix != ".json":
        raise SparseError(f"the output must be a .json file, got {output}")
    if not output.parent.is_dir():
        raise SparseError(f"{output.parent} is not a folder")
    if output.is_dir():
        raise SparseError(f"{output} is a folder")
    try:
        atomic.check_writable(output)
    except OSError as error:
        raise SparseError(
            f"cannot write into {output.parent}: {error.strerror}; choose another place with -o"
        ) from error


def write_summary(summary: dict[str, Any], output: Path, overwrite: bool) -> None:
    """Write the summary in one step; existing content is only replaced with ``overwrite``."""
    text = atomic.canonical_json(summary)
    if output.is_file() and output.read_bytes() == text.encode():
        logger.info("%s exists with the same content", output)
        return
    if output.exists() and not overwrite:
        raise SparseError(
            f"{output} exists with other content; --overwrite replaces it, -o FILE writes elsewhere"
        )
    atomic.write_text(output, text)
    logger.info("written: %s", output)


def label_key(label: Label) -> str:
    """Key of a label or region in nnU-Net's summaries."""
    return str(label)


def _find_labels(
    gt_folder: Path,
    pred_folder: Path,
    labels: Sequence[int] | None,
    ignore_label: int | None,
    dataset_json: Path | None,
) -> EvaluationLabels:
    file = dataset_json or find_dataset_json(gt_folder, pred_folder)
    if file is not None:
        return labels_from_dataset_json(file, labels, ignore_label)
    if labels is not None:
        return labels_from_list(labels, ignore_label, gt_folder)
    raise SparseError(
        f"no dataset.json in {gt_folder.absolute().parent} or {pred_folder}; "
        "name one with --dataset_json, or the labels with -l 1 2"
    )


def _match_cases(
    gt_folder: Path, pred_folder: Path, ending: str, chill: bool
) -> tuple[dict[str, CaseFiles], list[str]]:
    """Files by case, and the cases without prediction."""
    references, predictions = _segmentations(gt_folder, ending), _segmentations(pred_folder, ending)
    for folder, found in ((gt_folder, references), (pred_folder, predictions)):
        if not found:
            raise SparseError(f"{folder} holds no files ending in {ending}")
    if unmatched := sorted(predictions - references):
        raise SparseError(f"no ground truth in {gt_folder} for {_some(unmatched)} of {pred_folder}")
    missing = sorted(references - predictions)
    if missing and not chill:
        raise SparseError(
            f"{pred_folder} lacks predictions for {_some(missing)}; --chill evaluates the others"
        )
    cases = {
        name.removesuffix(ending): CaseFiles(gt_folder / name, pred_folder / name)
        for name in sorted(predictions)
    }
    return cases, [name.removesuffix(ending) for name in missing]


def _segmentations(folder: Path, ending: str) -> set[str]:
    files = [path for path in folder.iterdir() if path.name.endswith(ending)]
    if broken := sorted(path.name for path in files if path.is_symlink() and not path.exists()):
        raise SparseError(f"broken links in {folder}: {_some(broken)}")
    return {path.name for path in files if path.is_file()}


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _nnunet_summary(
    cases: Mapping[str, CaseFiles], scores: Mapping[str, CaseScores], labels: Sequence[Label]
) -> dict[str, Any]:
    """What nnU-Net's own evaluation writes, with the keys that it has in its JSON file.

    Made of our counts: nnU-Net's function needs seconds to start, and reads all files again.
    """
    keys = [label_key(label) for label in labels]
    values = [[_nnunet_row(scores[case_id], label) for label in labels] for case_id in cases]
    metrics = list(values[0][0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # means of labels that never occur
        mean = {
            key: {m: float(np.nanmean([row[k][m] for row in values])) for m in metrics}
            for k, key in enumerate(keys)
        }
    foreground = [row for key, row in mean.items() if key != "0"]
    return {
        "foreground_mean": {m: float(np.mean([row[m] for row in foreground])) for m in metrics},
        "mean": mean,
        "metric_per_case": [
            {
                "metrics": dict(zip(keys, row, strict=True)),
                "prediction_file": str(files.prediction.absolute()),
                "reference_file": str(files.reference.absolute()),
            }
            for files, row in zip(cases.values(), values, strict=True)
        ],
    }


def _nnunet_row(case: CaseScores, label: Label) -> dict[str, Any]:
    counts = case.labels[label].counts
    return {
        "Dice": counts.dice,
        "FN": counts.fn,
        "FP": counts.fp,
        "IoU": counts.iou,
        "TN": case.num_voxels - counts.tp - counts.fp - counts.fn,
        "TP": counts.tp,
        "n_pred": counts.num_prediction,
        "n_ref": counts.num_reference,
    }


def _aggregate(scores: dict[str, CaseScores], chosen: EvaluationLabels) -> dict[str, Any]:
    """Our part of the summary, NaN where undefined."""
    per_case = [
        {
            "case": case_id,
            "num_ignored": case.num_ignored,
            "labels": {label_key(label): _label_row(case, label) for label in chosen.labels},
        }
        for case_id, case in scores.items()
    ]
    per_label: dict[str, dict[str, Any]] = {}
    for label in chosen.labels:
        counts = [case.labels[label].counts for case in scores.values()]
        rows = [_label_row(case, label) for case in scores.values()]
        total = pool(counts)
        per_label[label_key(label)] = {
            "name": chosen.names.get(label),
            "TP": total.tp,
            "FP": total.fp,
            "FN": total.fn,
            "batched_IoU": total.iou,
            "batched_Dice": total.dice,
            "num_empty": sum(not c.num_reference and not c.num_prediction for c in counts),
            "num_missed": sum(c.num_reference > 0 and not c.num_prediction for c in counts),
            "num_false": sum(not c.num_reference and c.num_prediction > 0 for c in counts),
            **{
                metric.name: vars(summarize([row[metric.name] for row in rows]))
                for metric in CASE_METRICS
            },
        }
    foreground = [per_label[label_key(label)] for label in chosen.labels if label != 0]
    means = {
        metric.name: summarize([row[metric.name]["mean"] for row in foreground]).mean
        for metric in CASE_METRICS
    }
    for metric in ("batched_IoU", "batched_Dice"):
        means[metric] = summarize([row[metric] for row in foreground]).mean
    return {"foreground_mean": means, "per_label": per_label, "per_case": per_case}


def _label_row(case: CaseScores, label: Label) -> dict[str, Any]:
    scores = case.labels[label]
    return {
        **{metric.name: metric.value(scores) for metric in CASE_METRICS},
        "TP": scores.counts.tp,
        "FP": scores.counts.fp,
        "FN": scores.counts.fn,
        "reference_ml": scores.reference_ml,
        "prediction_ml": scores.prediction_ml,
    }


def _null_for_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _null_for_nan(v) for key, v in value.items()}
    if isinstance(value, list):
        return [_null_for_nan(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = CommandParser(
        "nnsparse_evaluate",
        "Score predictions against dense labels: nnU-Net's summary, batched IoU and Dice, and per "
        "case Dice, IoU, HD95 and NSD.",
        "nnsparse_evaluate nnUNet_raw/Dataset004_Hippocampus/labelsTs predictions",
    )
    parser.add_argument("gt_folder", type=Path, help="folder with the ground truth")
    parser.add_argument("pred_folder", type=Path, help="folder with predictions, same file names")
    parser.add_argument(
        "-l", "--labels", type=int, nargs="+", metavar="L", help="labels (default: all declared)"
    )
    parser.add_argument(
        "-il", "--ignore_label", type=int, metavar="L", help="default: that of dataset.json"
    )
    parser.add_argument(
        "--dataset_json",
        type=Path,
        metavar="FILE",
        help="default: dataset.json beside GT_FOLDER, then the one in PRED_FOLDER",
    )
    parser.add_argument(
        "--tolerance_mm",
        type=float,
        default=DEFAULT_TOLERANCE_MM,
        metavar="MM",
        help="distance up to which NSD counts a surface as correct (default: %(default)s)",
    )
    add_output_option(parser, f"default: PRED_FOLDER/{SUMMARY_FILE}", "FILE")
    add_overwrite_option(parser, "replace an existing output")
    parser.add_argument("--chill", action="store_true", help="skip cases without prediction")
    add_num_processes_option(parser)
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    output = args.output or args.pred_folder / SUMMARY_FILE
    check_output(output)
    summary = score_folder(
        args.gt_folder,
        args.pred_folder,
        labels=args.labels,
        ignore_label=args.ignore_label,
        dataset_json=args.dataset_json,
        tolerance_mm=args.tolerance_mm,
        num_processes=args.num_processes,
        chill=args.chill,
    )
    print(format_table(summary["nnsparse"]))
    write_summary(summary, output, args.overwrite)
