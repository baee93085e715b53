"""A case that is annotated: the voxels of its image, and the labels that they may have."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.prefilled_label import blank_label, prefilled_label
from nnunet_sparse.campaign.same_grid import Region, part_of
from nnunet_sparse.data.geometry import Geometry, read_geometry
from nnunet_sparse.system.errors import SparseError

_MAX_NAMED = 5
_WHITE = 255


@dataclass(frozen=True)
class AnnotatedCase:
    """A case of a campaign, onto whose voxels the annotation in other files is brought.

    Attributes
    ----------
    campaign
        The campaign.
    case_id
        One of its cases.
    """

    campaign: Campaign
    case_id: str

    @property
    def image(self) -> Path:
        """The image's first channel."""
        return self.campaign.image_files(self.case_id)[0]

    @property
    def reader(self) -> str:
        """Class name of nnU-Net's reader."""
        return self.campaign.images.reader()

    @cached_property
    def geometry(self) -> Geometry:
        """Where the image's voxels lie."""
        return read_geometry(self.image, self.reader)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the image, (z, y, x)."""
        return self.geometry.shape

    @property
    def axis(self) -> int:
        """Slice axis."""
        return self.campaign.axis

    @property
    def ignore(self) -> int:
        """Label of voxels that are not annotated."""
        return self.campaign.ignore_label

    @property
    def asked(self) -> list[int]:
        """Slices that were asked for, ascending."""
        return list(self.campaign.asked(self.case_id))

    @property
    def foreground(self) -> list[int]:
        """All values but background and ignore."""
        return list(self.campaign.label_names)

    @cached_property
    def names(self) -> dict[int, str]:
        """Name of every value that an annotation may hold."""
        labels = self.campaign.dataset["labels"]
        background = next((name for name, value in labels.items() if value == 0), "background")
        return {0: background, **self.campaign.label_names, self.ignore: "ignore"}

    def find_value(self, name: str) -> int | None:
        """Value of the label of that name; None if there is none, or more than one.

        Capital letters, underscores and compatible forms of letters count only if a label has
        exactly that name. Composed and decomposed letters are the same.
        """
        same, close = composed(name), _fold(name)
        equal = [value for value, other in self.names.items() if composed(other) == same]
        similar = [value for value, other in self.names.items() if _fold(other) == close]
        found = equal or similar
        return found[0] if len(found) == 1 else None

    def value_of(self, segment: str, file: Path) -> int | SparseError:
        """Value of the label that a segment is called after.

        Where no label, or more than one, is called so, the error that says it: a segment without
        voxels may be called anything.
        """
        value = self.find_value(segment)
        if value is not None:
            return value
        return SparseError(
            f"{file}: segment {segment!r} is none of the labels; they are called "
            f"{', '.join(map(repr, self.names.values()))}"
        )

    def without_white(self, mask: np.ndarray) -> np.ndarray:
        """In black and white pictures, replace white by the only label, unless 255 is a label."""
        if _WHITE in self.names:
            return mask
        values = set(np.unique(mask).tolist())
        if _WHITE in values <= {0, _WHITE} and len(self.foreground) == 1:
            return np.where(mask == _WHITE, self.foreground[0], 0)
        return mask

    def check_values(self, label: np.ndarray, file: Path) -> None:
        """Refuse values that are no labels of the campaign.

        Raises
        ------
        SparseError
            With the values, and those that are allowed.
        """
        if label.size and set(range(int(label.min()), int(label.max()) + 1)) <= self.names.keys():
            return
        # slice by slice: of a large volume, positions of voxels take much more than the label
        found = {int(value) for plane in label for value in np.unique(plane)}
        if unknown := sorted(found - self.names.keys()):
            allowed = ", ".join(f"{value} ({name})" for value, name in self.names.items())
            raise SparseError(
                f"{file} holds the values {first_few(unknown)}; allowed are {allowed}"
            )

    def prefilled(self) -> np.ndarray:
        """Label as the campaign hands it out, (z, y, x); see :func:`prefilled_label`."""
        return prefilled_label(self.campaign, self.case_id)

    def blank(self) -> np.ndarray:
        """Label on which nothing is annotated, (z, y, x); see :func:`blank_label`."""
        return blank_label(self.campaign, self.case_id)

    def place(self, array: np.ndarray, geometry: Geometry, file: Path) -> tuple[Region, np.ndarray]:
        """Find the part of the image that a file's voxels cover.

        Raises
        ------
        SparseError
            If they are not voxels of the image; see :func:`part_of`.
        """
        try:
            return part_of(array, geometry, self.geometry)
        except SparseError as error:
            raise self.elsewhere(file, str(error)) from error

    def elsewhere(self, file: Path, reason: str) -> SparseError:
        """Error for a file that does not lie on the image."""
        return SparseError(f"{file} lies elsewhere than its image {self.image}: {reason}")


def first_few(items: Sequence[object] | np.ndarray) -> str:
    """The first items of a list, for messages, with dots in place of the others."""
    return ", ".join(map(str, items[:_MAX_NAMED])) + (" ..." if len(items) > _MAX_NAMED else "")


def composed(name: str) -> str:
    """Name in one of the forms in which Unicode writes letters with accents."""
    return unicodedata.normalize("NFC", name)


def _fold(name: str) -> str:
    letters = unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", name).casefold())
    return " ".join(letters.replace("_", " ").split())
