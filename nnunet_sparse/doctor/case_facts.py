"""What one raw case tells: where it is annotated, with what, and how bright that is."""

from dataclasses import dataclass

import numpy as np

from nnunet_sparse.data.annotation import infer_slice_axis
from nnunet_sparse.data.geometry import FlatImageError, read_geometry
from nnunet_sparse.data.image_files import read_image
from nnunet_sparse.data.label_files import is_stored_whole, read_label
from nnunet_sparse.data.placement import disagreement
from nnunet_sparse.data.raw_dataset import Case
from nnunet_sparse.data.same_voxels import check_same_voxels
from nnunet_sparse.system.errors import SparseError

_SEED = 1234
_DRAWS_PER_SAMPLE = 4


@dataclass(frozen=True)
class CaseJob:
    """A case to be read.

    Attributes
    ----------
    case
        Its files; it has a label.
    reader
        Class name of nnU-Net's reader.
    classes
        Label values of every foreground class, by name.
    ignore_label
        Value of voxels that are not annotated.
    num_channels
        Number of image channels that the data set declares.
    num_samples
        Number of foreground voxels whose intensities are taken.
    """

    case: Case
    reader: str
    classes: dict[str, tuple[int, ...]]
    ignore_label: int
    num_channels: int
    num_samples: int


@dataclass(frozen=True)
class CaseFacts:
    """A raw case; axes are those of the array as nnU-Net reads it, (z, y, x).

    Attributes
    ----------
    shape
        Of the label.
    spacing
        In mm, in the order of the axes.
    annotated_voxels
        For every axis the number of annotated voxels in each plane.
    class_planes
        For every class the number of planes along each axis that show it.
    slice_axis
        Axis along which it was annotated, judged by its planes; None for a dense label.
    intensities
        (channel, n) of annotated foreground voxels, drawn with replacement; n is 0 without any.
    stock_intensities
        Likewise of the voxels that nnU-Net's fingerprint takes for foreground, ignored ones too.
    undeclared
        Label values that are neither declared nor ignore, ascending.
    is_cut
        Whether nnU-Net reads other values, since it cuts fractions off.
    num_ignored_outside
        Ignored voxels outside the non-zero mask of the image, within its box.
    num_in_box
        Voxels in the box of the non-zero mask.
    elsewhere
        Why the label does not lie on the voxels of its image by what the headers say; empty if it
        does.
    disagreement
        How the positions differ that programs take from the image's header; empty if they do not.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    annotated_voxels: tuple[np.ndarray, ...]
    class_planes: dict[str, tuple[int, ...]]
    slice_axis: int | None
    intensities: np.ndarray
    stock_intensities: np.ndarray
    undeclared: tuple[int, ...]
    is_cut: bool
    num_ignored_outside: int
    num_in_box: int
    elsewhere: str = ""
    disagreement: str = ""

    @property
    def num_annotated(self) -> int:
        """Number of annotated voxels."""
        return int(self.annotated_voxels[0].sum())

    @property
    def is_dense(self) -> bool:
        """Whether every voxel is annotated."""
        return self.slice_axis is None

    @property
    def is_ignored(self) -> bool:
        """Whether no voxel is annotated."""
        return self.num_annotated == 0

    def num_planes(self, axis: int) -> int:
        """Planes along an axis with at least one annotated voxel."""
        return int((self.annotated_voxels[axis] > 0).sum())

    def num_incomplete(self, axis: int) -> int:
        """Planes along an axis that are annotated in part."""
        counts = self.annotated_voxels[axis]
        size = int(np.prod(self.shape)) // self.shape[axis]
        return int(((counts > 0) & (counts < size)).sum())


def read_case_facts(job: CaseJob) -> CaseFacts:
    """Read the label and the images of a case.

    Raises
    ------
    SparseError
        If a file cannot be read, or the shapes differ.
    """
    assert job.case.label is not None
    label = read_label(job.case.label, job.reader, may_be_flat=True)
    images, spacing = read_image(job.case.images, job.reader)
    if len(images) != job.num_channels:
        raise SparseError(
            f"{job.case.images[0]}: the case has {len(images)} channels, dataset.json names "
            f"{job.num_channels}"
        )
    if images.shape[1:] != label.shape:
        raise SparseError(
            f"{job.case.label} has shape {label.shape} (z, y, x), its image {images.shape[1:]}"
        )
    elsewhere, disagreeing = _positions(job.case, job.reader)
    annotated = label != job.ignore_label
    counts = tuple(
        np.asarray(annotated.sum(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)
    )
    inside, outside = _nonzero(images)
    box_label, box_images = label[inside], images[(slice(None), *inside)]
    foreground = box_label > 0
    rng = np.random.default_rng(_SEED)
    return CaseFacts(
        shape=label.shape,
        spacing=tuple(spacing.tolist()),
        annotated_voxels=counts,
        class_planes=_class_planes(label, counts, job.classes),
        slice_axis=infer_slice_axis(label, job.ignore_label),
        intensities=_sample(box_images, foreground & annotated[inside], job.num_samples, rng),
        stock_intensities=_sample(box_images, foreground, job.num_samples, rng),
        undeclared=_undeclared(label, job),
        is_cut=not is_stored_whole(job.case.label, job.reader),
        num_ignored_outside=int((outside & ~annotated[inside]).sum()),
        num_in_box=int(outside.size),
        elsewhere=elsewhere,
        disagreement=disagreeing,
    )


def _positions(case: Case, reader: str) -> tuple[str, str]:
    """Why the label lies elsewhere than its image, and how the image's own positions differ."""
    assert case.label is not None
    image, label = case.images[0], case.label
    try:
        of_image = read_geometry(image, reader)
    except FlatImageError:
        return "", ""
    disagreeing = disagreement(of_image) or ""
    try:
        check_same_voxels(label, read_geometry(label, reader), image, of_image, "its image")
    except SparseError as error:
        return str(error), disagreeing
    return "", disagreeing


def _undeclared(label: np.ndarray, job: CaseJob) -> tuple[int, ...]:
    """Values that dataset.json does not declare."""
    declared = {0, job.ignore_label, *(v for values in job.classes.values() for v in values)}
    values: set[int] = set()
    for plane in label:  # unique values of a whole volume take seconds
        low, high = int(plane.min()), int(plane.max())
        if low < 0 or high > job.ignore_label:
            values |= {int(value) for value in np.unique(plane)}
        else:
            values |= set(np.flatnonzero(np.bincount(plane.reshape(-1))).tolist())
    return tuple(sorted(values - declared))


def _class_planes(
    label: np.ndarray, counts: tuple[np.ndarray, ...], classes: dict[str, tuple[int, ...]]
) -> dict[str, tuple[int, ...]]:
    """Planes along each axis that show each class; only annotated planes are looked at."""
    axis = min(range(3), key=lambda a: int((counts[a] > 0).sum()))
    shown = np.compress(counts[axis] > 0, label, axis=axis)
    planes = {}
    for name, values in classes.items():
        mask = np.isin(shown, values)
        planes[name] = tuple(
            int(mask.any(axis=tuple(a for a in range(3) if a != one)).sum()) for one in range(3)
        )
    return planes


def nonzero_mask(images: np.ndarray) -> np.ndarray:
    """Non-zero voxels of any channel (channel, z, y, x), and holes in them.

    As nnU-Net's ``create_nonzero_mask`` has it, whose module takes seconds to import (torch).
    """
    from scipy.ndimage import binary_fill_holes

    return np.asarray(binary_fill_holes((images != 0).any(axis=0)))


def _nonzero(images: np.ndarray) -> tuple[tuple[slice, ...], np.ndarray]:
    """Box of the non-zero mask as nnU-Net crops, and the voxels in it that are outside the mask."""
    if (images != 0).all():
        return tuple(slice(0, n) for n in images.shape[1:]), np.zeros(images.shape[1:], bool)
    mask = nonzero_mask(images)
    box = []
    for axis in range(3):
        hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        box.append(slice(int(hit[0]), int(hit[-1]) + 1) if len(hit) else slice(None))
    return tuple(box), ~np.asarray(mask[tuple(box)])


def _sample(
    images: np.ndarray, mask: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Intensities (channel, count) of voxels of a mask, drawn with replacement."""
    flat = mask.reshape(-1)
    if flat.size == 0:
        return np.zeros((len(images), 0), np.float32)
    draws = rng.integers(flat.size, size=_DRAWS_PER_SAMPLE * count)
    hits = draws[flat[draws]][:count]
    if len(hits) < count:
        indices = np.flatnonzero(flat)
        hits = indices[rng.integers(len(indices), size=count)] if len(indices) else indices
    return images.reshape(len(images), -1)[:, hits].astype(np.float32)
