"""A folder of nnU-Net's results: which network it holds, and what it was trained on."""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from nnunet_sparse.data.declared_labels import LabelError, declared_labels, without_ignore
from nnunet_sparse.data.folds import SPLITS_FILE, read_splits
from nnunet_sparse.data.raw_dataset import Case, RawDataset, read_dataset_json
from nnunet_sparse.system.atomic import json_digest
from nnunet_sparse.system.digests import file_digest
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import load_json
from nnunet_sparse.system.json_form import FILE_NAME, OBJECT, TEXT, WHOLE, Keys, ListOf, check_form
from nnunet_sparse.system.nnunet_model import ALL_CASES, FINAL_CHECKPOINT, Fold
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.system.wording import first_of

logger = logging.getLogger(__name__)

_FOLD = "fold_"
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")
_MOST_NAMED = 20
_PLANS = Keys(
    {
        "dataset_name": FILE_NAME,
        "plans_name": TEXT,
        "image_reader_writer": TEXT,
        "transpose_forward": ListOf(WHOLE),
        "configurations": OBJECT,
    }
)


@dataclass(frozen=True)
class TrainedNetwork:
    """A network that nnU-Net has trained, one member of an ensemble for each of its folds.

    Attributes
    ----------
    folder
        ``nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION``.
    folds
        Folds that are used, ascending; at least one.
    checkpoint_name
        File of each of them.
    dataset_json, plans
        What it was trained with.
    """

    folder: Path
    folds: tuple[Fold, ...]
    checkpoint_name: str
    dataset_json: Mapping[str, Any] = field(repr=False)
    plans: Mapping[str, Any] = field(repr=False)

    @classmethod
    def open(
        cls,
        model_folder: Path,
        folds: Sequence[Fold] | None = None,
        checkpoint_name: str = FINAL_CHECKPOINT,
    ) -> "TrainedNetwork":
        """Look what a folder holds; checkpoints are not read.

        Parameters
        ----------
        model_folder
            Folder of nnU-Net's results.
        folds
            Folds that are used; None for all numbered ones whose training is complete, or ``all``
            where that is the only one.
        checkpoint_name
            File of each fold.

        Raises
        ------
        SparseError
            If it is no such folder, or a fold that is asked for has no checkpoint, or none has.
        """
        if not model_folder.is_dir():
            raise SparseError(
                f"{model_folder} is no folder: give nnUNet_results/DATASET/TRAINER__PLANS__"
                "CONFIGURATION, in which nnUNetv2_train has trained"
            )
        dataset_json = read_dataset_json(model_folder)
        try:
            declared_labels(dataset_json)
        except LabelError as error:
            raise SparseError(f"{model_folder / 'dataset.json'}: {error}") from error
        file = model_folder / "plans.json"
        try:
            plans = load_json(file, lambda _: None)  # as stores of preprocessed images have them
        except FileNotFoundError as error:
            raise SparseError(f"{file} does not exist: is this a folder of a training?") from error
        check_form(plans, _PLANS, str(file))
        used = _usable_folds(model_folder, folds, checkpoint_name)
        return cls(model_folder, used, checkpoint_name, dataset_json, plans)

    @property
    def checkpoints(self) -> dict[Fold, Path]:
        """File of each fold."""
        return {k: self.folder / f"{_FOLD}{k}" / self.checkpoint_name for k in self.folds}

    @property
    def labels(self) -> dict[str, Any]:
        """Its classes or regions by name, ``ignore`` left out."""
        return without_ignore(self.dataset_json["labels"])

    @property
    def label_values(self) -> tuple[int, ...]:
        """Values that it may predict, from 0 on."""
        return declared_labels(self.dataset_json).values

    @property
    def regions_class_order(self) -> tuple[int, ...] | None:
        """Label that each region paints, later ones over earlier ones; None for classes."""
        if not declared_labels(self.dataset_json).has_regions:
            return None
        return tuple(self.dataset_json["regions_class_order"])

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of its image channels."""
        return _channels(self.dataset_json)

    @property
    def dataset_name(self) -> str:
        """Data set that it was trained on: the folder's, or where it was moved the plans'."""
        parent = self.folder.resolve().parent.name
        return parent if parent.startswith("Dataset") else str(self.plans["dataset_name"])

    @cached_property
    def digest(self) -> str:
        """Hash of all that decides on its predictions.

        Raises
        ------
        OSError
            If a checkpoint cannot be read.
        """
        checkpoints = [file_digest(file) for file in self.checkpoints.values()]
        content = [checkpoints, self.plans, self.labels, self.regions_class_order]
        return json_digest(content, 16)

    def provenance(self) -> dict[str, Any]:
        """Which network it is, as JSON holds it."""
        return {
            "dataset": self.dataset_name,
            "model": self.folder.name,
            "folds": list(self.folds),
            "checkpoint": self.checkpoint_name,
            "digest": self.digest,
        }

    def check_fits(self, raw: RawDataset) -> None:
        """Refuse a data set of other channels or labels than it was trained with.

        Raises
        ------
        SparseError
            Naming what differs.
        """
        here = f"{self.folder} was trained with"
        if (found := _channels(raw.dataset_json)) != self.channels:
            raise SparseError(
                f"{here} the channels {', '.join(self.channels)}; {raw.name} has {', '.join(found)}"
            )
        if (labels := without_ignore(raw.dataset_json["labels"])) != self.labels:
            raise SparseError(f"{here} the labels {self.labels}; {raw.name} declares {labels}")
        order = raw.dataset_json.get("regions_class_order")
        if self.regions_class_order not in {None, tuple(order or ())}:
            raise SparseError(
                f"{here} regions_class_order {list(self.regions_class_order or ())}; {raw.name} "
                f"declares {order}"
            )
        reader = str(self.plans["image_reader_writer"])
        if ("Reorient" in reader) != ("Reorient" in raw.reader()):
            raise SparseError(
                f"{here} {reader}, which orders voxels in another way than {raw.reader()}, by "
                f"which {raw.name} is read"
            )

    def trained_on(self, paths: NnUNetPaths, cases: Iterable[Case]) -> tuple[str, ...]:
        """IDs of those cases whose images it was trained on, as far as its data set tells.

        Parameters
        ----------
        paths
            nnU-Net's folders, in which its data set may be.
        cases
            Cases of any data set; their files are compared, not their IDs.
        """
        known = {identity for file in self._training_images(paths) if (identity := _identity(file))}
        found = (c.case_id for c in cases if any(_identity(file) in known for file in c.images))
        return tuple(sorted(found))

    def warn_of_test_cases(self, paths: NnUNetPaths, cases: Iterable[Case]) -> None:
        """Warn if it was trained on any of the cases that are kept for testing.

        Parameters
        ----------
        paths, cases
            As for :meth:`trained_on`.
        """
        if seen := self.trained_on(paths, cases):
            logger.warning(
                "%s was trained on test cases: %s; scores on them of what learns from it will be "
                "too high",
                self.folder,
                first_of(seen, _MOST_NAMED),
            )

    def _training_images(self, paths: NnUNetPaths) -> list[Path]:
        """Image files of its training cases; none if its data set is not there."""
        try:
            raw = RawDataset.open(paths.raw / self.dataset_name)
        except (SparseError, OSError):
            return []
        cases = set(raw.training)
        splits = paths.preprocessed / self.dataset_name / SPLITS_FILE
        if ALL_CASES not in self.folds and splits.is_file():
            parts = read_splits(splits)
            trained = [parts[k]["train"] for k in self.folds if type(k) is int and k < len(parts)]
            cases &= set().union(*trained) if trained else cases
        return [file for case_id in sorted(cases) for file in raw.training[case_id].images]


def _usable_folds(
    folder: Path, wanted: Sequence[Fold] | None, checkpoint_name: str
) -> tuple[Fold, ...]:
    """Folds that have a checkpoint."""
    names = {path.name.removeprefix(_FOLD) for path in folder.glob(f"{_FOLD}*")}
    there = {name for name in names if (folder / f"{_FOLD}{name}" / checkpoint_name).is_file()}
    if wanted is not None:
        if missing := [fold for fold in wanted if str(fold) not in there]:
            have = f"there are {', '.join(sorted(there))}" if there else "there are none"
            raise SparseError(
                f"{folder / f'{_FOLD}{missing[0]}' / checkpoint_name} does not exist: of the folds "
                f"that are trained to their end {have}"
            )
        numbers = sorted({fold for fold in wanted if isinstance(fold, int)})
        return (*numbers, *([ALL_CASES] if ALL_CASES in wanted else []))
    # fold_00 and digits of other alphabets are no names that nnU-Net writes
    if found := sorted(int(name) for name in there if _NUMBER.fullmatch(name)):
        return tuple(found)
    if ALL_CASES in there:
        return (ALL_CASES,)
    raise SparseError(f"no fold in {folder} has {checkpoint_name}: train one to its end")


def _channels(dataset_json: Mapping[str, Any]) -> tuple[str, ...]:
    names = dataset_json["modality" if "modality" in dataset_json else "channel_names"]
    return tuple(names[key] for key in sorted(names, key=lambda key: (len(key), key)))


def _identity(file: Path) -> tuple[int, int] | None:
    """What two names of one file have in common."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
