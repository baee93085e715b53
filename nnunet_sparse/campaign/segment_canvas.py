"""Putting the segments of a segmentation together to one label."""

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nnunet_sparse.campaign.annotated_case import AnnotatedCase
from nnunet_sparse.data.geometry import Geometry
from nnunet_sparse.system.errors import SparseError

logger = logging.getLogger(__name__)


class SegmentCanvas:
    """The voxels of an image, onto which segments are painted as labels.

    Parameters
    ----------
    case
        The image.
    file
        The segmentation, for messages.
    """

    def __init__(self, case: AnnotatedCase, file: Path) -> None:
        self._case, self._file = case, file
        # 0: no segment, n + 1: label n
        self._codes = np.zeros(case.shape, np.min_scalar_type(case.ignore + 1))
        self._num_conflicts = 0
        self._empty: set[str] = set()

    def paint(
        self, segments: np.ndarray, values: Mapping[int, int | SparseError], geometry: Geometry
    ) -> None:
        """Add an array of numbers of segments.

        Parameters
        ----------
        segments
            (z, y, x) integers, 0 where there is no segment.
        values
            Label of each number, or the error for a segment that is called like none, which does
            not matter as long as it is empty.
        geometry
            Where the array's voxels lie.

        Raises
        ------
        SparseError
            If a voxel has a number without a label, or is none of the image.
        """
        codes = np.zeros(segments.shape, self._codes.dtype)
        for number, value in values.items():
            if isinstance(value, SparseError):
                if (segments == number).any():
                    raise value
                self._empty.add(str(value))
            else:
                codes[segments == number] = value + 1
        nameless = segments[(codes == 0) & (segments != 0)]
        if nameless.size:
            raise SparseError(f"{self._file} holds {nameless[0]}, a segment without a name")
        region, part = self._case.place(codes, geometry, self._file)
        before = self._codes[region]
        conflicts = (before != 0) & (part != 0) & (before != part)
        self._num_conflicts += int(np.count_nonzero(conflicts))
        np.copyto(before, part, where=part != 0)

    def label(self) -> np.ndarray:
        """Label of all slices that were asked for or hold foreground, ignore on the others.

        Raises
        ------
        SparseError
            If segments of different labels overlap.
        """
        case = self._case
        if self._num_conflicts:
            raise SparseError(
                f"{self._file}: segments of different labels overlap on {self._num_conflicts} "
                "voxels; a voxel has one label"
            )
        for problem in sorted(self._empty):
            logger.info("%s (it is empty, and changes nothing)", problem)
        other_axes = tuple(axis for axis in range(3) if axis != case.axis)
        foreground = np.isin(self._codes, [value + 1 for value in case.foreground])
        marked = np.asarray(foreground.any(axis=other_axes))
        marked[case.asked] = True
        label = case.blank()
        said = np.where(self._codes == 0, 0, self._codes - 1).astype(label.dtype)
        np.moveaxis(label, case.axis, 0)[marked] = np.moveaxis(said, case.axis, 0)[marked]
        return label
