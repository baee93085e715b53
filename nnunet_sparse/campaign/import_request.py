"""What a user wants to be imported of a campaign."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from nnunet_sparse.data.folds import DEFAULT_REPEATS
from nnunet_sparse.system.errors import SparseError

DEFAULT_VALIDATION = 0.2
Extra = Literal["refuse", "accept", "drop"]
"""What becomes of annotation on slices that were not asked for."""


@dataclass(frozen=True)
class ImportRequest:
    """What of a campaign is imported, and as what.

    Attributes
    ----------
    name
        Name of the data set after its ID.
    dataset_id
        Its ID; None for a free one.
    partial
        Go on without slices that were asked for and are not annotated.
    extra
        What becomes of annotation on slices that were not asked for.
    val
        Validation volumes: a number, or a share below 1 of those that are annotated; None for
        :data:`DEFAULT_VALIDATION`.
    seed
        Seed of their choice.
    repeats
        Number of equal folds in ``splits_final.json``.
    num_folds
        Folds of a cross-validation of the annotated volumes instead.
    group
        Which volumes belong together, as :func:`nnunet_sparse.data.groups.read_grouping` takes it;
        None for the groups of earlier imports, if there are any.
    provenance
        Who annotated, when and with which tool, as far as it is given.
    overwrite
        Replace a data set of that name that was imported.
    """

    name: str
    dataset_id: int | None = None
    partial: bool = False
    extra: Extra = "refuse"
    val: float | None = None
    seed: int = 0
    repeats: int = DEFAULT_REPEATS
    provenance: Mapping[str, str] = field(default_factory=dict)
    overwrite: bool = False
    num_folds: int | None = None
    group: str | None = None

    @property
    def share(self) -> float:
        """Validation volumes where folds are equal.

        Raises
        ------
        SparseError
            If some were asked for beside a cross-validation.
        """
        if self.val is not None and self.num_folds is not None:
            raise SparseError("--folds validates every volume once: leave out --val")
        return DEFAULT_VALIDATION if self.val is None else self.val
