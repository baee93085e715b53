"""Where segments become a label."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nnunet_sparse.campaign.annotation_target import AnnotationTarget
from nnunet_sparse.data.geometry import Geometry
from nnunet_sparse.system.errors import SparseError


class SegmentCanvas:
    """Labels that a file's segments give to the voxels of an image.

    Parameters
    ----------
    target
        The image.
    file
        The segmentation, for messages.
    """

    def __init__(self, target: AnnotationTarget, file: Path) -> None:
        self._target, self._file = target, file
        # 0 is nothing, n + 1 the label n
        self._codes = np.zeros(target.shape, np.min_scalar_type(target.ignore + 1))
        self._num_conflicts = 0

    def paint(self, segments: np.ndarray, values: Mapping[int, int], geometry: Geometry) -> None:
        """Add an array of numbers of segments.

        Parameters
        ----------
        segments
            (z, y, x) integers, 0 where there is no segment.
        values
            Label of each number.
        geometry
            Where the array's voxels lie.

        Raises
        ------
        SparseError
            If a number has no label, or a voxel is none of the image.
        """
        codes = np.zeros(segments.shape, self._codes.dtype)
        for number, value in values.items():
            codes[segments == number] = value + 1
        nameless = segments[(codes == 0) & (segments != 0)]
        if nameless.size:
            raise SparseError(f"{self._file} holds {nameless[0]}, a segment without a name")
        region, part = self._target.place(codes, geometry, self._file)
        before = self._codes[region]
        conflicts = (before != 0) & (part != 0) & (before != part)
        self._num_conflicts += int(np.count_nonzero(conflicts))
        np.copyto(before, part, where=part != 0)

    def label(self) -> np.ndarray:
        """Labels on slices that were asked for or have one, ignore elsewhere.

        Raises
        ------
        SparseError
            If segments of different labels overlap.
        """
        target = self._target
        if self._num_conflicts:
            raise SparseError(
                f"{self._file}: segments of different labels overlap on {self._num_conflicts} "
                "voxels; a voxel has one label"
            )
        other_axes = tuple(axis for axis in range(3) if axis != target.axis)
        foreground = np.isin(self._codes, [value + 1 for value in target.foreground])
        marked = np.asarray(foreground.any(axis=other_axes))
        marked[target.asked] = True
        label = target.prefilled()
        said = np.where(self._codes == 0, 0, self._codes - 1).astype(label.dtype)
        np.moveaxis(label, target.axis, 0)[marked] = np.moveaxis(said, target.axis, 0)[marked]
        return label
