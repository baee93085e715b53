"""What checks of a data set may ask for: each property is read when the first check asks for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.data.plans_configuration import INTENSITIES
from nnunet_sparse.data.slice_axis import read_slice_axis
from nnunet_sparse.doctor.case_facts import CaseFacts, CaseJob, read_case_facts
from nnunet_sparse.doctor.check import UnavailableError
from nnunet_sparse.doctor.equal_files import declared_test_cases, find_equal_files
from nnunet_sparse.doctor.finding import Skipped
from nnunet_sparse.doctor.fingerprint_check import is_intensities
from nnunet_sparse.doctor.raw_checks import common_slice_axis
from nnunet_sparse.doctor.subject import Fold, Subject, read_folds
from nnunet_sparse.planners.plans import FINGERPRINT_FILE
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.json_files import load_json
from nnunet_sparse.system.parallel import map_cases
from nnunet_sparse.system.wording import command_line
from nnunet_sparse.trainers.trainer_classes import OURS, OWN_TRAINER

Intensities = Mapping[str, Mapping[str, float]]

# foreground intensities kept of all cases together, and of one
_NUM_INTENSITIES = 4_000_000
_MIN_PER_CASE, _MAX_PER_CASE = 500, 50_000


class DatasetEvidence:
    """What is known of a data set without its preprocessed data.

    Parameters
    ----------
    subject
        The data set.
    num_processes
        Number of processes that read cases.

    Raises
    ------
    SparseError
        If the split, plans or fingerprint are damaged.
    """

    def __init__(self, subject: Subject, num_processes: int) -> None:
        self.subject = subject
        self.num_processes = num_processes
        # refused before cases are read, which takes long
        self._folds = read_folds(subject)
        self._intensities = _held_intensities(subject)

    @cached_property
    def facts(self) -> Mapping[str, CaseFacts]:
        """Labelled cases, by ID."""
        subject = self.subject
        reader = subject.raw.any_reader
        per_case = _NUM_INTENSITIES // len(subject.labelled)
        jobs = {
            case_id: CaseJob(
                case=subject.raw.training[case_id],
                reader=reader,
                classes=subject.classes,
                ignore_label=subject.ignore_label,
                num_channels=subject.raw.num_channels,
                num_samples=min(max(per_case, _MIN_PER_CASE), _MAX_PER_CASE),
            )
            for case_id in subject.labelled
        }
        return map_cases(
            read_case_facts,
            jobs,
            self.num_processes,
            "Reading cases",
            meanwhile=_import_trainers if self._has_batches else None,
        )

    @property
    def _has_batches(self) -> bool:
        """Whether batches will be drawn, so that their trainers have to be imported."""
        return any(map(self.subject.data_cases, self.subject.configurations))

    @property
    def labelled(self) -> Sequence[str]:
        """Cases for training that have a label."""
        return self.subject.labelled

    @property
    def unlabelled(self) -> Sequence[str]:
        """Cases for training without a label."""
        return sorted(self.subject.raw.training.keys() - self.facts.keys())

    @property
    def ignore_label(self) -> int:
        """Value of voxels that are not annotated."""
        return self.subject.ignore_label

    @property
    def is_interpolated(self) -> bool:
        """Whether its labels were filled in by ``nnsparse_interpolate``."""
        return self.subject.is_interpolated

    @cached_property
    def declared_axis(self) -> int | None:
        """Slice axis that ``selection.json`` names."""
        return read_slice_axis(self.subject.raw.folder)

    @cached_property
    def axis(self) -> int:
        """Slice axis of the arrays as nnU-Net reads them."""
        return common_slice_axis(self.facts, self.declared_axis)

    @property
    def folds(self) -> Sequence[Fold]:
        """Folds; none where there are too few cases."""
        return self._folds

    @property
    def existing_folds(self) -> Sequence[Fold]:
        """Folds, at least one."""
        if not self._folds:
            raise UnavailableError(
                Skipped(
                    "folds",
                    f"{self.subject.preprocessed} has no splits_final.json, and with "
                    f"{len(self.facts)} cases nnU-Net cannot make five folds",
                )
            )
        return self._folds

    @property
    def training_cases(self) -> Sequence[str]:
        """Cases that some fold trains on; without folds all labelled ones."""
        return sorted({c for fold in self._folds for c in fold.train}) or list(self.facts)

    @property
    def training_files(self) -> Mapping[str, Sequence[Path]]:
        """Image files of every case for training."""
        return {c: case.images for c, case in self.subject.raw.training.items()}

    @property
    def test_files(self) -> Mapping[str, Sequence[Path]]:
        """Image files of every case of ``imagesTs``."""
        return {c: case.images for c, case in self.subject.raw.test.items()}

    @property
    def equal_files(self) -> Mapping[Path, Path]:
        """For image files of test cases, a training file of the same content."""
        return find_equal_files(
            (file for files in self.test_files.values() for file in files),
            (file for files in self.training_files.values() for file in files),
        )

    @property
    def declared_test(self) -> Mapping[str, Sequence[str]]:
        """Test cases that a split of ours names, by the file that does."""
        return declared_test_cases(self.subject)

    @property
    def held_intensities(self) -> Intensities:
        """Intensities of the foreground that the plans, or else the fingerprint, hold."""
        return self._existing_intensities().values

    @property
    def intensities_source(self) -> str:
        """Where these stand, for messages."""
        return self._existing_intensities().source

    @property
    def annotated_intensities(self) -> np.ndarray:
        """(channel, n) float32 of annotated foreground voxels."""
        return np.concatenate([case.intensities for case in self.facts.values()], axis=1)

    @property
    def stock_intensities(self) -> np.ndarray:
        """(channel, m) float32 of what nnU-Net takes for foreground, ignored voxels included."""
        return np.concatenate([case.stock_intensities for case in self.facts.values()], axis=1)

    @property
    def schemes(self) -> Sequence[str]:
        """Normalisation of each channel; none where there are no plans."""
        if not self.subject.configurations:
            return []
        schemes: list[str] = self.subject.resolved(self.subject.configurations[0])[
            "normalization_schemes"
        ]
        return schemes

    def _existing_intensities(self) -> "_HeldIntensities":
        if self._intensities is None:
            raise UnavailableError(
                Skipped(
                    "fingerprint",
                    f"there are neither plans nor a fingerprint in {self.subject.preprocessed}; "
                    f"{command_line('nnsparse_plan_and_preprocess', '-d', self.subject.raw.name)} "
                    "makes both",
                )
            )
        return self._intensities


def _import_trainers() -> None:
    """Import what takes seconds, for this process and its forks."""
    for module in ("nnunet_sparse.doctor.drawn_batches", OURS[OWN_TRAINER]):
        import_module(module)


@dataclass(frozen=True)
class _HeldIntensities:
    values: Intensities
    source: str


def _held_intensities(subject: Subject) -> _HeldIntensities | None:
    """Intensities that the plans or else the fingerprint hold, and where they stand."""
    plans, file = subject.plans, subject.preprocessed / FINGERPRINT_FILE
    held: Any
    if plans is not None and plans.get(INTENSITIES):
        held, source = plans[INTENSITIES], f"plans {plans['plans_name']}"
    elif file.is_file():
        try:
            held, source = load_json(file, float)[INTENSITIES], file.name
        except (ValueError, KeyError, TypeError) as error:
            raise SparseError(f"{file} is no fingerprint of nnU-Net; plan again") from error
    else:
        return None
    if not is_intensities(held):
        raise SparseError(
            f"{source} of {subject.raw.name}: {INTENSITIES} must map channels 0, 1 ... to numbers "
            "by their names; plan again"
        )
    if len(held) != subject.raw.num_channels:
        raise SparseError(
            f"{source} of {subject.raw.name} hold intensities of {len(held)} channels, "
            f"dataset.json names {subject.raw.num_channels}"
        )
    return _HeldIntensities(held, source)
