"""Batches of patches whose centres are drawn by the roles of the labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunet_sparse.data.annotation import PROPERTY
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.plain_pickle import read_plain_pickle
from nnunet_sparse.trainers.sparse_loader import PlacedPatch, SparseDataLoader, annotated_planes
from nnunet_sparse.training.patch_centres import draw_pixel, draw_voxel
from nnunet_sparse.training.patch_labels import MASKED_BACKGROUND
from nnunet_sparse.training.recipe import JOINT


class NoCentreError(SparseError):
    """No case has a voxel around which patches should be drawn."""


# cases may turn out to have no voxel of a role although their properties do not say so
_MAX_ATTEMPTS = 200


@dataclass(frozen=True)
class CentreGroup:
    """Voxels around which patches are drawn, and how often.

    Attributes
    ----------
    name
        Its roles, joined by ``+``.
    share
        Share of the patches, before groups that no case has are left out.
    foreground
        Labels of the target and of the context.
    background, unannotated
        Whether these voxels belong to it.
    """

    name: str
    share: float
    foreground: tuple[int, ...]
    background: bool
    unannotated: bool


def centre_groups(
    shares: Mapping[str, float], roles: Mapping[str, Sequence[int]]
) -> list[CentreGroup]:
    """Groups of a recipe's patch centres, in its order.

    Parameters
    ----------
    shares
        ``patch_centres`` of a recipe.
    roles
        Labels of every role.
    """
    groups = []
    for name, share in shares.items():
        named = name.split(JOINT)
        foreground = sorted(
            v for role in ("target", "context") if role in named for v in roles[role]
        )
        groups.append(
            CentreGroup(
                name, share, tuple(foreground), "background" in named, "unannotated" in named
            )
        )
    return groups


class RoleDataLoader(SparseDataLoader):
    """Draws patches for voxels of roles, or uniformly from the volumes.

    A group is drawn with its share, a case uniformly from those that have a voxel of it, then a
    voxel of the case: where background or unannotated voxels belong to the group uniformly from all
    of its voxels; else one of its labels, and a voxel of that label, uniformly in the plane of one
    of the up to 500 voxels that were noted in preprocessing. The batch holds the voxels as
    ``centres``, (batch, 3) int64, in the preprocessed case of the same position in ``keys``.

    Parameters
    ----------
    stock, label_manager, transforms, placement
        As for :class:`SparseDataLoader`; patches have three dimensions.
    groups
        Groups with shares of which one is above 0, or none for patches drawn uniformly.

    Raises
    ------
    NoCentreError
        If no case has a voxel of any group.
    """

    def __init__(
        self,
        stock: nnUNetDataLoader,
        label_manager: LabelManager,
        transforms: Any,
        placement: str,
        groups: Sequence[CentreGroup],
    ) -> None:
        super().__init__(stock, label_manager, transforms, placement, "case")
        self.groups: list[CentreGroup] = []
        self.cases: list[list[str]] = []
        self.centres: list[list[int]] = []
        folder = Path(self._data.source_folder)
        properties = {case: read_plain_pickle(folder / f"{case}.pkl") for case in self.indices}
        for group in groups:
            cases = [c for c, found in properties.items() if self._may_have(found, group)]
            if cases and group.share > 0:
                self.groups.append(group)
                self.cases.append(cases)
        if groups and not self.groups:
            named = ", ".join(group.name for group in groups)
            raise NoCentreError(
                f"no case has a voxel around which recipe.patch_centres ({named}) draws patches"
            )
        total = sum(group.share for group in self.groups)
        self.shares = [group.share / total for group in self.groups]

    def generate_train_batch(self) -> dict[str, Any]:
        """Draw, crop and augment one batch."""
        self.centres = []
        batch = super().generate_train_batch()
        return batch | {"centres": torch.tensor(self.centres)}

    def _place(
        self,
        force_foreground: bool,  # noqa: ARG002
        rng: np.random.Generator,
    ) -> PlacedPatch:
        if not self.groups:
            return self._anywhere(rng)
        for _ in range(_MAX_ATTEMPTS):
            index = int(rng.choice(len(self.groups), p=self.shares))
            cases = self.cases[index]
            case = cases[int(rng.integers(len(cases)))]
            image, label, previous, properties = self._data.load_case(case)
            voxel = self._voxel_of_group(label, properties, self.groups[index], rng)
            if voxel is not None:
                self.centres.append(list(voxel))
                corner = self._corner(voxel, image.shape[1:], rng)
                return PlacedPatch(case, corner, image, label, previous)
        raise SparseError(
            "hardly any case has a voxel around which recipe.patch_centres draws patches"
        )

    def _anywhere(self, rng: np.random.Generator) -> PlacedPatch:
        """A patch that lies in a volume, or contains it where it is larger, uniformly."""
        case = self.indices[int(rng.integers(len(self.indices)))]
        image, label, previous, _ = self._data.load_case(case)
        rooms = [
            size - patch for size, patch in zip(image.shape[1:], self.final_patch_size, strict=True)
        ]
        corner = [int(rng.integers(min(0, room), max(0, room) + 1)) for room in rooms]
        self.centres.append(
            [low + size // 2 for low, size in zip(corner, self.final_patch_size, strict=True)]
        )
        initial = [low - margin for low, margin in zip(corner, self.margin, strict=True)]
        return PlacedPatch(case, initial, image, label, previous)

    def _may_have(self, properties: dict[str, Any], group: CentreGroup) -> bool:
        """Whether a case may have a voxel of a group; it is annotated."""
        locations = properties["class_locations"]
        if group.background or any(len(locations.get(v, ())) for v in group.foreground):
            return True
        if not group.unannotated or self.ignore_label is None:
            return False
        # data that nnU-Net preprocessed do not say
        known = properties.get(PROPERTY, {}).get("unannotated_locations")
        return known is None or len(known) > 0

    def _voxel_of_group(
        self,
        label: Any,
        properties: dict[str, Any],
        group: CentreGroup,
        rng: np.random.Generator,
    ) -> tuple[int, int, int] | None:
        """Random voxel of a group in a case."""
        if not group.background and not group.unannotated:
            return self._voxel_of_label(label, properties, group.foreground, rng)
        values = group.foreground
        planes = self._planes_of_group(label, properties, group)
        if group.background:
            values = (*values, 0, MASKED_BACKGROUND)
        if group.unannotated and self.ignore_label is not None:
            values = (*values, self.ignore_label)
        return draw_voxel(_Channel(label), values, planes, rng)

    def _planes_of_group(
        self, label: Any, properties: dict[str, Any], group: CentreGroup
    ) -> np.ndarray:
        every = np.arange(label.shape[1])
        if self.ignore_label is None or (
            group.unannotated and (group.background or group.foreground)
        ):
            return every
        annotated = annotated_planes(properties, self.annotated_classes_key)
        if group.background:
            return annotated
        # where slices are annotated in part, they hold unannotated voxels as well
        known = properties.get(PROPERTY, {}).get("unannotated_locations")
        in_part = known is None or np.isin(known[:, 1], annotated).any()
        return every if in_part else np.setdiff1d(every, annotated)

    def _voxel_of_label(
        self,
        label: Any,
        properties: dict[str, Any],
        values: Sequence[int],
        rng: np.random.Generator,
    ) -> tuple[int, int, int]:
        """A pixel of a label in the plane of a voxel of it that was noted in preprocessing."""
        locations = properties["class_locations"]
        there = [value for value in values if len(locations.get(value, ()))]
        value = there[int(rng.integers(len(there)))]
        noted = locations[value]
        plane = int(noted[int(rng.integers(len(noted)))][1])
        row, column = draw_pixel(np.asarray(label[0, plane]), (value,), rng)
        return plane, row, column


class _Channel:
    """The only channel of a label (1, z, y, x) that is read in parts."""

    def __init__(self, label: Any) -> None:
        self.label = label
        self.shape = label.shape[1:]

    def __getitem__(self, index: Any) -> Any:
        return np.asarray(self.label[(0, *(index if isinstance(index, tuple) else (index,)))])
