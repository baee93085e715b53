"""Refusing files that do not lie on the same voxels in the same order."""

import logging
from collections.abc import Mapping
from pathlib import Path

from nnunet_sparse.data.geometry import Geometry
from nnunet_sparse.data.placement import AmbiguousPlacementError, disagreement, place
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.wording import first_of

logger = logging.getLogger(__name__)

_NUM_NAMED = 3


def check_same_voxels(
    file: Path, geometry: Geometry, other: Path, other_geometry: Geometry, relation: str
) -> None:
    """Refuse two files whose voxels do not lie on each other, each on the one of equal index.

    Files that do by one reading of NIfTI headers are accepted
    (:func:`~nnunet_sparse.data.placement.place`).

    Parameters
    ----------
    file, geometry
        One file, named first in the message.
    other, other_geometry
        The file that it belongs to.
    relation
        What the other file is to the first, for the message, as in ``its image``.

    Raises
    ------
    SparseError
        If the shapes differ, any corner lies more than a tenth of a voxel elsewhere, or it cannot
        be told which of two readings is right.
    """
    if geometry.shape != other_geometry.shape:
        raise SparseError(
            f"{file} has shape {geometry.shape} (z, y, x), {relation} {other} "
            f"{other_geometry.shape}"
        )
    if geometry.affine is None or other_geometry.affine is None:
        return
    try:
        placement = place(geometry, other_geometry, lambda p: p.covers(other_geometry))
    except AmbiguousPlacementError as error:
        raise SparseError(f"{file} may lie elsewhere than {relation} {other}: {error}") from error
    except SparseError:
        pass
    else:
        if placement.keeps_order and placement.covers(other_geometry):
            return
    shift = geometry.shift_voxels(other_geometry)
    raise SparseError(
        f"{file} lies elsewhere than {relation} {other}: origin, spacing or direction differ, "
        f"by up to {shift:.2g} voxels{_disagreeing(file, geometry)}"
        f"{_disagreeing(other, other_geometry)}"
    )


def warn_of_disagreement(images: Mapping[Path, Geometry]) -> None:
    """Tell of images whose header gives programs different positions."""
    found = {file: disagreement(geometry) for file, geometry in images.items()}
    texts = [f"{file} ({text})" for file, text in sorted(found.items()) if text is not None]
    if texts:
        logger.warning(
            "programs see %d of %d images at different places, because qform and sform disagree or "
            "say nothing: %s; labels that lie on their image by ITK's or nibabel's reading are "
            "taken. Find out which position is right, and write it into both forms%s",
            len(texts),
            len(found),
            first_of(texts, _NUM_NAMED),
            "; left and right may be swapped on a screen"
            if any("left-right" in text for text in texts)
            else "",
        )


def _disagreeing(file: Path, geometry: Geometry) -> str:
    found = disagreement(geometry)
    return "" if found is None else f"; qform and sform of {file.name} disagree: {found}"
