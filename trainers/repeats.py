"""Which cases a repeat trains and validates on.

nnU-Net's fold number k is repeat k. nnU-Net answers a fold number that its split file lacks with a
random split, and ``all`` with a training on the validation cases, too; both would spoil a
comparison silently and are refused.
"""

from collections.abc import Sequence
from pathlib import Path

from nnunet_sparse.data.folds import read_folds
from nnunet_sparse.data.preprocessing_record import StepRecord
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.wording import command_line, first_of

# folds of the split that nnU-Net makes where there is none
NUM_STOCK_FOLDS = 5
_NUM_NAMED = 10


def check_repeat(fold: int | str, splits_file: Path) -> None:
    """Refuse a fold that the split file does not hold.

    Parameters
    ----------
    fold
        nnU-Net's fold: a number, or ``all``.
    splits_file
        ``splits_final.json`` of the preprocessed data set; it need not exist.

    Raises
    ------
    SparseError
        If the fold is ``all`` or beyond the file.
    """
    exists = splits_file.is_file()
    count = len(read_folds(splits_file)) if exists else NUM_STOCK_FOLDS
    valid = f"repeats are 0 to {count - 1}" + (f" in {splits_file}" if exists else "")
    if fold == "all":
        raise SparseError(f"fold 'all' would also train on the validation cases; {valid}")
    if not 0 <= int(fold) < count:
        raise SparseError(f"there is no repeat (fold) {fold}; {valid}")


def check_preprocessed(folder: Path) -> None:
    """Refuse preprocessed data that a killed or failed command of ours left incomplete.

    Parameters
    ----------
    folder
        Folder of one configuration's data; without a record of ours nothing is known of it.

    Raises
    ------
    SparseError
        If the preprocessing was begun and not finished.
    """
    if StepRecord(folder.parent).is_complete(f"preprocessed/{folder.name}", ""):
        raise SparseError(
            f"the preprocessing of {folder} was not finished: run "
            f"{command_line('nnsparse_plan_and_preprocess', '-d', folder.parent.name)} again"
        )


def preprocessed_cases(folder: Path) -> set[str]:
    """Cases of a preprocessed configuration whose files are all there, in either of its formats.

    nnU-Net writes the properties of a case after its images and labels. A link to an image that was
    removed counts as missing.
    """
    names = {path.name for path in folder.iterdir() if path.exists()}
    cases = {name.removesuffix(".pkl") for name in names if name.endswith(".pkl")}
    return {c for c in cases if {f"{c}.b2nd", f"{c}_seg.b2nd"} <= names or f"{c}.npz" in names}


def check_previous_stage(cases: Sequence[str], folder: Path, fold: int) -> None:
    """Refuse a cascade whose training cases were not predicted by the previous stage.

    nnU-Net predicts the validation cases of each fold for the next stage. With folds that share one
    split the training cases are never among them.

    Parameters
    ----------
    cases
        Training cases.
    folder
        Predictions of the previous stage.
    fold
        Number of the repeat.

    Raises
    ------
    SparseError
        If a prediction is missing.
    """
    predicted = {path.stem for path in folder.glob("*")}
    missing = [case for case in cases if case not in predicted]
    if missing:
        raise SparseError(
            f"{len(missing)} of {len(cases)} training cases of repeat {fold} have no prediction "
            f"of the previous stage in {folder}: nnU-Net writes those of validation cases only, "
            "and repeats share one split (train 3d_fullres instead)"
        )


def split_existing(cases: Sequence[str], existing: set[str]) -> tuple[list[str], list[str]]:
    """Cases of a split that exist, and those that do not, both in the order of the split."""
    found = [case for case in cases if case in existing]
    return found, [case for case in cases if case not in existing]


def missing_message(part: str, found: Sequence[str], missing: Sequence[str]) -> str:
    """What a log says about cases that are left out."""
    named = first_of(missing, _NUM_NAMED)
    total = len(found) + len(missing)
    return f"{len(missing)} of {total} {part} cases are not preprocessed, left out: {named}"
