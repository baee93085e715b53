"""Preprocessing of one sparse label for an image that is preprocessed already."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.data.annotation import annotated_planes, infer_slice_axis, is_dense
from nnunet_sparse.data.compressed_array import read_array, write_array
from nnunet_sparse.data.declared_labels import ignore_label_of
from nnunet_sparse.data.label_files import read_label
from nnunet_sparse.data.plans_configuration import Plans, configuration_of
from nnunet_sparse.data.stored_images import StoredImage
from nnunet_sparse.planners.label_resampling import resample_label_planes
from nnunet_sparse.system.atomic import atomic_path
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.wording import first_of

_NUM_NAMED = 10
OUTSIDE = -1  # nnU-Net's value for background outside the non-zero mask


@dataclass(frozen=True)
class LabelPreprocessing:
    """What the preprocessing of labels depends on, image and label aside.

    Attributes
    ----------
    reader
        Class name of nnU-Net's reader.
    transpose_forward
        Order of the axes after preprocessing.
    slice_axis
        Slice axis of the array as read; None to infer it from each label.
    labels
        ``labels`` of ``dataset.json``.
    spacing
        Target spacing in mm of two (in-plane) or three axes.
    resampling_fn, resampling_arguments
        nnU-Net's function for dense labels.
    patch_size
        Size of the patches that will be read.
    """

    reader: str
    transpose_forward: tuple[int, ...]
    slice_axis: int | None
    labels: Mapping[str, Any]
    spacing: tuple[float, ...]
    resampling_fn: str
    resampling_arguments: Mapping[str, Any]
    patch_size: tuple[int, ...]

    @classmethod
    def planned(
        cls, plans: Plans, configuration: str, labels: Mapping[str, Any], slice_axis: int | None
    ) -> "LabelPreprocessing":
        """Take what is needed from plans."""
        resolved = configuration_of(plans, configuration)
        return cls(
            reader=plans["image_reader_writer"],
            transpose_forward=tuple(plans["transpose_forward"]),
            slice_axis=slice_axis,
            labels=labels,
            spacing=tuple(resolved["spacing"]),
            resampling_fn=resolved["resampling_fn_seg"],
            resampling_arguments=resolved["resampling_fn_seg_kwargs"],
            patch_size=tuple(resolved["patch_size"]),
        )

    @property
    def ignore_label(self) -> int | None:
        """Value of voxels that are not annotated."""
        return ignore_label_of(self.labels)

    @property
    def dtype(self) -> type[np.signedinteger[Any]]:
        """Smallest type for -1 and every declared value."""
        return np.int8 if max(_declared_values(self.labels)) <= np.iinfo(np.int8).max else np.int16


def preprocess_label(file: Path, stored: StoredImage, how: LabelPreprocessing) -> np.ndarray:
    """Bring a label to the voxels of its preprocessed image.

    Transposed and cropped like the image; annotated background outside the image's non-zero mask
    becomes -1; if the shape changes, dense labels are resampled by nnU-Net's function and sparse
    ones plane by plane.

    Parameters
    ----------
    file
        Label file.
    stored
        Its preprocessed image.
    how
        What else it depends on.

    Returns
    -------
    np.ndarray, shape (z, y, x) of the image, int8, or int16 for values above 127

    Raises
    ------
    SparseError
        If the label cannot be read, has another shape than its image, or holds a value that is not
        declared.
    """
    label = read_label(file, how.reader, may_be_flat=True).transpose(how.transpose_forward)
    expected = tuple(stored.properties["shape_before_cropping"])
    if label.shape != expected:
        raise SparseError(
            f"{file} has shape {_untransposed(label.shape, how)} (z, y, x), its image "
            f"{_untransposed(expected, how)}"
        )
    _check_values(file, label, how.labels)
    bbox = stored.properties["bbox_used_for_cropping"]
    label = label[tuple(slice(*bounds) for bounds in bbox)]
    if how.slice_axis is None:
        axis = infer_slice_axis(label, how.ignore_label)
    else:
        axis = how.transpose_forward.index(how.slice_axis)
    dense = axis is None or is_dense(label, how.ignore_label)
    seg = _mark_outside(label, None if dense else axis, stored, how)
    if seg.shape == stored.shape:
        return seg
    if axis is None or how.ignore_label is None or dense:
        return _dense_from_store(file, seg, stored, how)
    return resample_label_planes(seg, axis, stored.shape, how.ignore_label)


def _check_values(file: Path, label: np.ndarray, labels: Mapping[str, Any]) -> None:
    """Refuse values that ``dataset.json`` does not declare: training would fail, or learn them."""
    values = _declared_values(labels)
    declared = np.zeros(max(values) + 1, bool)
    declared[values] = True
    if declared.all() and label.min(initial=0) >= 0 and label.max(initial=0) < len(declared):
        return
    for plane in label:
        known = (plane >= 0) & (plane < len(declared))
        # values out of range first: they are no index
        wrong = plane[~known] if not known.all() else plane[~declared[plane]]
        if wrong.size:
            named = first_of(np.flatnonzero(declared).tolist(), _NUM_NAMED)
            raise SparseError(
                f"{file} holds the label {wrong[0]}, which dataset.json does not declare "
                f"(it declares {named})"
            )


def _declared_values(labels: Mapping[str, Any]) -> list[int]:
    return [v for value in labels.values() for v in (value if isinstance(value, list) else [value])]


def _mark_outside(
    label: np.ndarray, axis: int | None, stored: StoredImage, how: LabelPreprocessing
) -> np.ndarray:
    """The label with -1 outside the mask; only annotated planes are looked at."""
    annotated: tuple[Any, ...] = (...,)
    if axis is None or how.ignore_label is None:
        seg = np.empty(label.shape, how.dtype)
    else:
        seg = np.full(label.shape, how.ignore_label, how.dtype)
        planes = annotated_planes(label, axis, how.ignore_label)
        annotated = (*(slice(None),) * axis, planes)
    voxels = label[annotated].astype(how.dtype)
    if stored.zeros is not None:
        outside = read_array(stored.zeros)[0][annotated] == 0
        voxels[outside & (voxels == 0)] = OUTSIDE
    seg[annotated] = voxels
    return seg


def _dense_from_store(
    file: Path, seg: np.ndarray, stored: StoredImage, how: LabelPreprocessing
) -> np.ndarray:
    """The resampled label, kept beside the images: all variants validate on the same ones."""
    status = file.stat()
    made_from = (
        (status.st_size, status.st_mtime_ns),
        stored.source,
        how.resampling_fn,
        sorted(how.resampling_arguments.items()),
    )
    digest = hashlib.sha256(repr(made_from).encode()).hexdigest()[:16]
    kept = stored.image.parent / "dense_labels" / f"{stored.image.stem}.{digest}.b2nd"
    if kept.is_file():
        label: np.ndarray = read_array(kept)[0].astype(how.dtype, copy=False)
        return label
    resampled = _resample_dense(seg, stored, how)
    kept.parent.mkdir(exist_ok=True)
    with atomic_path(kept) as temporary:
        write_array(temporary, resampled[None], how.patch_size)
    return resampled


def _resample_dense(seg: np.ndarray, stored: StoredImage, how: LabelPreprocessing) -> np.ndarray:
    from nnunetv2.preprocessing.resampling.utils import recursive_find_resampling_fn_by_name

    spacing = [stored.properties["spacing"][axis] for axis in how.transpose_forward]
    target = [*spacing[: len(spacing) - len(how.spacing)], *how.spacing]
    resample = recursive_find_resampling_fn_by_name(how.resampling_fn)
    resampled = resample(
        seg[None].astype(np.float32),  # as nnU-Net reads labels
        np.array(stored.shape),
        spacing,
        target,
        **how.resampling_arguments,
    )
    label: np.ndarray = np.asarray(resampled)[0].astype(how.dtype)
    return label


def _untransposed(shape: tuple[int, ...], how: LabelPreprocessing) -> tuple[int, ...]:
    return tuple(shape[how.transpose_forward.index(axis)] for axis in range(len(shape)))
