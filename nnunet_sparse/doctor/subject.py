"""The data set that is examined: its raw files, plans, preprocessed data and splits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_sparse.data.dataset_name import find_dataset
from nnunet_sparse.data.declared_labels import IGNORE, LabelError, LabelRule, declared_labels
from nnunet_sparse.data.folds import SPLITS_FILE, read_splits
from nnunet_sparse.data.plans_configuration import Plans, configuration_of
from nnunet_sparse.data.raw_dataset import INTERPOLATION_FILE, SELECTION_FILE, RawDataset
from nnunet_sparse.doctor.plans_file import choose_plans
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths
from nnunet_sparse.trainers.repeats import NUM_STOCK_FOLDS

# the split that nnU-Net makes where there is none
_STOCK_SPLIT_SEED = 12345


@dataclass(frozen=True)
class Fold:
    """Folds of equal content.

    Attributes
    ----------
    numbers
        nnU-Net's fold numbers.
    train, val
        Case IDs.
    """

    numbers: tuple[int, ...]
    train: tuple[str, ...]
    val: tuple[str, ...]

    @property
    def name(self) -> str:
        """For messages."""
        first, last = self.numbers[0], self.numbers[-1]
        if len(self.numbers) == 1:
            return f"fold {first}"
        if self.numbers == tuple(range(first, last + 1)):
            return f"folds {first}-{last}"
        return f"folds {', '.join(map(str, self.numbers))}"


@dataclass(frozen=True)
class Subject:
    """What is examined.

    Attributes
    ----------
    paths
        nnU-Net's folders.
    raw
        The raw data set.
    plans
        Its plans, or None.
    configurations
        Configurations of the plans that were asked for.
    """

    paths: NnUNetPaths
    raw: RawDataset
    plans: Plans | None
    configurations: tuple[str, ...]

    @property
    def preprocessed(self) -> Path:
        """The data set's folder in ``nnUNet_preprocessed``."""
        return self.paths.preprocessed / self.raw.name

    @property
    def ignore_label(self) -> int:
        """Value of voxels that are not annotated."""
        value = self.raw.ignore_label
        assert value is not None, "the subject was opened"
        return value

    @property
    def is_interpolated(self) -> bool:
        """Whether its labels were filled in by ``nnsparse_interpolate``."""
        return (self.raw.folder / INTERPOLATION_FILE).is_file()

    @property
    def classes(self) -> dict[str, tuple[int, ...]]:
        """Label values of every foreground class or region, by name."""
        return declared_labels(self.raw.dataset_json, may_have_gaps=True).foreground

    @property
    def labelled(self) -> list[str]:
        """Training cases that have a label."""
        return [c for c, case in self.raw.training.items() if case.label is not None]

    def resolved(self, configuration: str) -> dict[str, Any]:
        """A configuration with what it inherits."""
        assert self.plans is not None
        return configuration_of(self.plans, configuration)

    def data_folder(self, configuration: str) -> Path:
        """Folder of a configuration's preprocessed data; it need not exist."""
        return self.preprocessed / str(self.resolved(configuration)["data_identifier"])

    def data_cases(self, configuration: str) -> list[str]:
        """Training cases that are preprocessed."""
        folder = self.data_folder(configuration)
        return sorted({file.stem for file in folder.glob("*.pkl")} & set(self.raw.training))


def open_subject(
    paths: NnUNetPaths, dataset: str, plans_name: str | None, configuration: str | None
) -> Subject:
    """Find the raw data set, its plans and configurations.

    Parameters
    ----------
    paths
        nnU-Net's folders.
    dataset
        ID or name.
    plans_name
        Name of the plans; None for ``nnsparsePlans``, else the only plans there are, else
        ``nnUNetPlans``.
    configuration
        One of the plans; None for all that are preprocessed or, if none is, for all.

    Raises
    ------
    SparseError
        If there is no such data set, plans or configuration, the plans are damaged, or the data set
        has no ignore label where nnU-Net wants it.
    """
    raw = RawDataset.open(paths.raw / find_dataset(paths, dataset))
    if not raw.has_ignore_label:
        raise SparseError(
            f"{raw.name} has no ignore label, every voxel counts as annotated: sparse annotation "
            'needs "ignore" in the labels of dataset.json (highest label + 1)'
        )
    if not any(case.label is not None for case in raw.training.values()):
        raise SparseError(f"{raw.name} has no training case with a label in {raw.folder}")
    _check_labels(raw)
    plans = choose_plans(paths.preprocessed / raw.name, plans_name)
    if plans is None:
        if configuration is not None:
            raise SparseError(
                f"{raw.name} has no plans in {paths.preprocessed / raw.name}, so there is no "
                f"configuration {configuration!r}; nnsparse_plan_and_preprocess makes them"
            )
        return Subject(paths, raw, None, ())
    names = list(plans["configurations"])
    if configuration is not None:
        if configuration not in names:
            raise SparseError(
                f"plans {plans['plans_name']} have no configuration {configuration!r}, "
                f"choose from {', '.join(names)}"
            )
        return Subject(paths, raw, plans, (configuration,))
    subject = Subject(paths, raw, plans, tuple(_with_own_batches(plans)))
    preprocessed = tuple(c for c in subject.configurations if subject.data_cases(c))
    return Subject(paths, raw, plans, preprocessed or subject.configurations)


def read_folds(subject: Subject) -> list[Fold]:
    """Folds of the data set: those of its split file, else those that nnU-Net would make.

    Equal folds, as in repeats of one split, are given once. Empty if there are too few cases.

    Raises
    ------
    SparseError
        If the split file is damaged.
    """
    files = [subject.preprocessed / SPLITS_FILE]
    if (subject.raw.folder / SELECTION_FILE).exists():
        files.append(subject.raw.folder / SPLITS_FILE)
    for file in files:
        if file.is_file():
            return _grouped(read_splits(file))
    if len(subject.labelled) < NUM_STOCK_FOLDS:
        return []
    from nnunetv2.utilities.crossval_split import generate_crossval_split

    splits = generate_crossval_split(
        sorted(subject.labelled), seed=_STOCK_SPLIT_SEED, n_splits=NUM_STOCK_FOLDS
    )
    return _grouped(splits)


def _with_own_batches(plans: Plans) -> list[str]:
    """All configurations but the later stages of cascades, whose batches are those of others."""
    names = list(plans["configurations"])
    return [name for name in names if not configuration_of(plans, name).get("previous_stage")]


def _check_labels(raw: RawDataset) -> None:
    """Refuse labels that nnU-Net does not take, and those without foreground."""
    file = raw.folder / "dataset.json"
    if not any(raw.label_values):
        raise SparseError(f"{file} declares no label but background")
    try:
        declared_labels(raw.dataset_json, may_have_gaps=True)
    except LabelError as error:
        if error.rule is LabelRule.IGNORE:
            raise SparseError(
                f"{file}: the label ignore must be {raw.label_values[-1] + 1}, the highest label "
                f"+ 1, got {raw.dataset_json['labels'][IGNORE]!r}"
            ) from error
        raise SparseError(f"{file}: nnU-Net does not take these labels: {error}") from error


def _grouped(splits: Sequence[Mapping[str, Iterable[str]]]) -> list[Fold]:
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[int]] = {}
    for number, split in enumerate(splits):
        parts = tuple(sorted(split["train"])), tuple(sorted(split["val"]))
        groups.setdefault(parts, []).append(number)
    return [Fold(tuple(numbers), train, val) for (train, val), numbers in groups.items()]
