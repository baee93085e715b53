"""A random split of patients with the paper's sizes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from nnunet_sparse.data.split import Split
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.randomness import generator, shuffled


@dataclass(frozen=True)
class SplitSizes:
    """Numbers of cases."""

    train: int
    val: int
    test: int

    @property
    def total(self) -> int:
        """Number of all cases."""
        return self.train + self.val + self.test

    def scaled(self, num_cases: int) -> "SplitSizes":
        """The same proportions for another number of cases; test and val get at least one.

        Raises
        ------
        SparseError
            If no case is left for training.
        """
        test, val = (
            max(1, math.floor(num_cases * part / self.total + 0.5))
            for part in (self.test, self.val)
        )
        if num_cases - test - val < 1:
            raise SparseError(
                f"{num_cases} cases are too few: training, validation and test need one each"
            )
        return SplitSizes(num_cases - test - val, val, test)

    def __str__(self) -> str:
        return f"{self.train} train, {self.val} val, {self.test} test"


def split_by_patient(patients: Mapping[str, str], sizes: SplitSizes, seed: int) -> Split:
    """Divide the cases so that all of a patient's are in one part.

    Parameters
    ----------
    patients
        Patient of every case, by case ID.
    sizes
        Wanted numbers of cases, of ``len(patients)`` in all. Test and val are filled with whole
        patients in random order until they have as many cases, so that they may have a few more.
    seed
        Seed of the order.

    Raises
    ------
    SparseError
        If no case is left for training.
    """
    cases: dict[str, list[str]] = {}
    for case_id, patient in sorted(patients.items()):
        cases.setdefault(patient, []).append(case_id)
    parts: dict[str, list[str]] = {"test": [], "val": [], "train": []}
    for patient in shuffled(sorted(cases), generator(seed, "split")):
        if len(parts["test"]) < sizes.test:
            part = "test"
        else:
            part = "val" if len(parts["val"]) < sizes.val else "train"
        parts[part] += cases[patient]
    if not all(parts.values()):
        raise SparseError(
            f"{len(cases)} patients are too few: training, validation and test need one each"
        )
    train, val, test = (tuple(sorted(parts[part])) for part in ("train", "val", "test"))
    return Split(train, val, test, seed)
