"""The files of a raw data set from which everything preprocessed is made."""

import hashlib
from pathlib import Path

from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunet_sparse.dataset_name import find_dataset
from nnunet_sparse.errors import SparseError
from nnunet_sparse.label_io import check_complete, is_nifti
from nnunet_sparse.paths import NnUNetPaths
from nnunet_sparse.raw_dataset import RawDataset

_NUM_NAMED = 5


def open_for_training(paths: NnUNetPaths, name_or_id: str) -> RawDataset:
    """Find a raw data set and check that its training files are there.

    Raises
    ------
    SparseError
        If there is no such data set, its ``dataset.json`` is unusable, or files are missing or
        truncated.
    """
    raw = RawDataset.open(paths.raw / find_dataset(paths, name_or_id))
    if "numTraining" not in raw.dataset_json:
        raise SparseError(f"{raw.folder / 'dataset.json'} lacks numTraining")
    if not raw.training:
        raise SparseError(f"{raw.name} has no training images in {raw.folder / 'imagesTr'}")
    images = [file for case in raw.training.values() for file in case.images]
    _refuse("images", [str(file) for file in images if not file.is_file()], len(images))
    unlabelled = [
        case.case_id
        for case in raw.training.values()
        if case.label is None or not case.label.is_file()
    ]
    _refuse("labels", unlabelled, len(raw.training))
    try:
        LabelManager(raw.dataset_json["labels"], raw.dataset_json.get("regions_class_order"))
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        raise SparseError(
            f"{raw.folder / 'dataset.json'}: nnU-Net does not take these labels: {error}"
        ) from error
    for file in (*images, *label_files(raw).values()):
        if is_nifti(file):
            check_complete(file)  # SimpleITK fills what is missing with zeros, silently
    return raw


def label_files(raw: RawDataset) -> dict[str, Path]:
    """Label file of every training case of a checked data set."""
    return {case: files.label for case, files in raw.training.items() if files.label is not None}


def files_digest(raw: RawDataset) -> str:
    """Hash over ``dataset.json`` and the names, sizes and times of all training files."""
    content = hashlib.sha256((raw.folder / "dataset.json").read_bytes())
    labels = label_files(raw)
    for case_id in sorted(raw.training):
        for file in (*raw.training[case_id].images, labels[case_id]):
            status = file.stat()
            entry = (case_id, file.name, status.st_size, status.st_mtime_ns)
            content.update(repr(entry).encode())
    return content.hexdigest()


def _refuse(what: str, missing: list[str], total: int) -> None:
    if missing:
        named = ", ".join(missing[:_NUM_NAMED]) + (", ..." if len(missing) > _NUM_NAMED else "")
        raise SparseError(f"{len(missing)} of {total} training {what} are missing: {named}")
