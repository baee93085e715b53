"""What fingerprint and plans are made from.

Fingerprints and plans depend on the number of training cases and on the labels. All variants of a
base must train with the same plans, otherwise batch size, patch size and normalisation would change
with the budget. They are therefore made from the training cases of the base's split.
"""

from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from nnunet_sparse.data.folds import SPLITS_FILE, read_splits
from nnunet_sparse.data.preprocessing_record import digest_of
from nnunet_sparse.data.raw_dataset import SELECTION_FILE, RawDataset
from nnunet_sparse.data.slice_axis import read_slice_axis
from nnunet_sparse.data.split import SplitRequest, find_split, split_file
from nnunet_sparse.planners.training_files import check_files_exist, files_digest
from nnunet_sparse.selection.selection import CAMPAIGN_PREFIX
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import load_json
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.training.settings import TrainingSettings

# to be raised when the same input gives another fingerprint
_FINGERPRINT_VERSION = 1
# to be raised when the same fingerprint and labels give other plans
_PLANS_VERSION = 1
_PACKAGES = ("nnunet-sparse", "nnunetv2")


@dataclass(frozen=True)
class PlanningInput:
    """Cases that are measured, and how the data set that they are planned for is declared.

    Attributes
    ----------
    measured
        Data set whose training files are measured.
    cases
        The training cases that are measured.
    declared
        ``dataset.json`` of the data set that is planned for; its cases are not used.
    slice_axis
        Slice axis of the data set that is planned for, or None if no file names it.
    num_training
        Number of training cases that the plans suppose.
    """

    measured: RawDataset
    cases: tuple[str, ...]
    declared: dict[str, Any]
    slice_axis: int | None
    num_training: int

    @property
    def labels(self) -> Literal["dense", "annotated"]:
        """Whether all voxels of the measured labels count, or only those of annotated slices."""
        return "annotated" if self.measured.has_ignore_label else "dense"

    @cached_property
    def fingerprint_digest(self) -> str:
        """Hash of everything on which the fingerprint depends."""
        files = files_digest(self.measured, self.cases)
        return digest_of(_FINGERPRINT_VERSION, self.measured.name, self.cases, files)

    @property
    def plans_digest(self) -> str:
        """Hash of everything on which the plans of one planner depend."""
        declared = {key: value for key, value in self.declared.items() if key != "dataset"}
        declared["numTraining"] = self.num_training
        versions = [version(package) for package in _PACKAGES]
        defaults = TrainingSettings().to_block()
        return digest_of(
            _PLANS_VERSION, self.fingerprint_digest, declared, self.slice_axis, versions, defaults
        )

    def provenance(self) -> dict[str, Any]:
        """What the plans say about their fingerprint."""
        return {
            "data_set": self.measured.name,
            "cases": len(self.cases),
            "labels": self.labels,
        }


def own_input(raw: RawDataset) -> PlanningInput:
    """Make plans from a data set itself: from the cases that some fold trains on.

    Raises
    ------
    SparseError
        If ``selection.json`` or the split is unusable.
    """
    cases = trained_cases(raw)
    everything = len(cases) == len(raw.training)
    return PlanningInput(
        measured=raw,
        cases=cases,
        declared=raw.dataset_json,
        slice_axis=read_slice_axis(raw.folder),
        num_training=raw.dataset_json["numTraining"] if everything else len(cases),
    )


def base_input(paths: NnUNetPaths, raw: RawDataset, base: str) -> PlanningInput:
    """Make plans for a variant from the training cases of its base's split.

    Labels and channels are declared as in the variant; they are the same for all of them.

    Raises
    ------
    SparseError
        If the base cannot be read, has lost its split or some of its files, or does not fit.
    """
    dataset = RawDataset.open(paths.raw / base)
    if not split_file(paths, base).exists():
        raise SparseError(
            f"{split_file(paths, base)} is missing, without which nobody knows the training cases "
            f"of {base}; --plans_from own plans for {raw.name} alone"
        )
    if dataset.channel_names != raw.channel_names or dataset.label_values != raw.label_values:
        raise SparseError(
            f"{raw.name} has other channels or labels than its base {base}; "
            "--plans_from own plans for it alone"
        )
    split, _ = find_split(dataset, paths, SplitRequest())
    check_files_exist(dataset, split.train)
    return PlanningInput(
        measured=dataset,
        cases=split.train,
        declared=raw.dataset_json,
        slice_axis=read_slice_axis(raw.folder),
        num_training=len(split.train),
    )


def read_base_name(raw_dataset: Path) -> str | None:
    """Name of the base data set, or None if there is none; the rest of the file may be anything.

    Parameters
    ----------
    raw_dataset
        Folder of the variant.
    """
    try:
        base = load_json(raw_dataset / SELECTION_FILE)["base"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(base, str) or not base.isprintable() or base.startswith(CAMPAIGN_PREFIX):
        return None
    return base if base == Path(base).name and base not in ("", "..") else None


def trained_cases(raw: RawDataset) -> tuple[str, ...]:
    """Sorted training cases of any fold; all cases where the raw data set has no split.

    Raises
    ------
    SparseError
        If no fold trains on a case of the data set.
    """
    file = raw.folder / SPLITS_FILE
    if not file.is_file():
        return tuple(sorted(raw.training))
    trained = set[str]().union(*(fold["train"] for fold in read_splits(file)))
    if not trained & raw.training.keys():
        raise SparseError(f"no fold of {file} trains on a case of {raw.name}")
    return tuple(sorted(trained & raw.training.keys()))
