"""The files of a raw data set from which everything preprocessed is made."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from nnunet_sparse.data.claimed_size import check_claim
from nnunet_sparse.data.dataset_name import find_dataset
from nnunet_sparse.data.declared_labels import LabelError, declared_labels
from nnunet_sparse.data.image_files import image_files
from nnunet_sparse.data.itk_files import check_whole
from nnunet_sparse.data.label_files import check_complete, is_nifti
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths

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
    try:
        declared_labels(raw.dataset_json, may_have_gaps=True)
    except LabelError as error:
        raise SparseError(
            f"{raw.folder / 'dataset.json'}: nnU-Net does not take these labels: {error}"
        ) from error
    check_files_exist(raw, raw.training)
    check_files_complete(raw, raw.training)
    return raw


def check_files_exist(raw: RawDataset, cases: Iterable[str]) -> None:
    """Refuse cases whose images or labels are missing.

    Raises
    ------
    SparseError
        Naming the files.
    """
    chosen = [raw.training[case_id] for case_id in cases]
    images = [file for case in chosen for file in case.images]
    _refuse(raw, "images", [str(file) for file in images if not file.is_file()], len(images))
    unlabelled = [c.case_id for c in chosen if c.label is None or not c.label.is_file()]
    _refuse(raw, "labels", unlabelled, len(chosen))


def check_files_complete(raw: RawDataset, cases: Iterable[str]) -> None:
    """Refuse cases, all files of which exist, whose images or labels are truncated.

    Raises
    ------
    SparseError
        Naming the file.
    """
    labels = label_files(raw)
    for case_id in cases:
        for file in (*raw.training[case_id].images, labels[case_id]):
            check_claim(file)
            if is_nifti(file):
                check_complete(file)  # SimpleITK fills what is missing with zeros, silently
            else:
                check_whole(file, content=False)


def label_files(raw: RawDataset) -> dict[str, Path]:
    """Label file of every training case of a checked data set."""
    return {case: files.label for case, files in raw.training.items() if files.label is not None}


def files_digest(raw: RawDataset, cases: Iterable[str] | None = None) -> str:
    """Hash over ``dataset.json`` and the names, sizes and times of all training files.

    Parameters
    ----------
    raw
        A checked data set.
    cases
        The training cases that count; None for all.
    """
    content = hashlib.sha256((raw.folder / "dataset.json").read_bytes())
    labels = label_files(raw)
    for case_id in sorted(raw.training if cases is None else cases):
        for file in (*image_files(raw.training[case_id].images), labels[case_id]):
            status = file.stat()
            entry = (case_id, file.name, status.st_size, status.st_mtime_ns)
            content.update(repr(entry).encode())
    return content.hexdigest()


def _refuse(raw: RawDataset, what: str, missing: list[str], total: int) -> None:
    if missing:
        named = ", ".join(missing[:_NUM_NAMED]) + (", ..." if len(missing) > _NUM_NAMED else "")
        raise SparseError(
            f"{raw.name}: {len(missing)} of {total} training {what} are missing: {named}"
        )
