"""The scores of a training as ``nnsparse_evaluate`` has stored them."""

from pathlib import Path
from typing import Any

from nnunet_sparse.evaluation.case_metrics import CASE_METRICS
from nnunet_sparse.system.json_files import load_json
from nnunet_sparse.system.json_form import (
    ANYTHING,
    COUNT,
    NUMBER,
    TEXT,
    Keys,
    ListOf,
    NamesTo,
    check_form,
    or_none,
)

BATCHED = ("batched_IoU", "batched_Dice")
MEANS = tuple(metric.name for metric in CASE_METRICS)

_NUMBER = or_none(NUMBER)
_LABEL = Keys(
    {
        "name": or_none(TEXT),
        **dict.fromkeys(BATCHED, _NUMBER),
        **dict.fromkeys(MEANS, Keys({"mean": _NUMBER})),
    }
)
_COUNTS = NamesTo(Keys(dict.fromkeys(("TP", "FP", "FN"), COUNT)))
_SCORES = Keys(
    {
        "per_label": NamesTo(_LABEL),
        "per_case": ListOf(Keys({"case": ANYTHING, "labels": _COUNTS})),
        "num_cases": COUNT,
    }
)


def read_scores(file: Path) -> dict[str, Any]:
    """What ``nnsparse`` holds in ``summary.json``.

    Raises
    ------
    SparseError
        If the file is damaged.
    FileNotFoundError
        If there is none.
    """
    content = load_json(file)
    check_form(content, Keys({"nnsparse": _SCORES}), str(file))
    scores: dict[str, Any] = content["nnsparse"]
    return scores
