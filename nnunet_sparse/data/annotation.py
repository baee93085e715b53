"""What of a label is annotated, and the locations of annotated voxels that training draws from.

An annotated plane is a plane of the label array with at least one voxel that is not ignore. In
preprocessed labels -1 is annotated background outside the image's non-zero mask.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnunet_sparse.data.declared_labels import ignore_label_of, without_ignore

# property of a preprocessed case
PROPERTY = "nnsparse"
# ending of the folder beside the preprocessed data with the non-zero masks of their images
MASK_SUFFIX = "_nonzero"
VERSION = 1
# A case is drawn some thousand times in a training of 1000 epochs, each time for one of these
# voxels, around which the patch moves; nnU-Net keeps at least 10000, read for every sample drawn.
MAX_LOCATIONS = 500
LOCATION_SEED = 1234
# tries of drawing a voxel before all voxels are searched
_TRIES_PER_LOCATION = 4

LocationKey = int | tuple[int, ...]


def annotated_planes(label: np.ndarray, axis: int, ignore_label: int | None) -> np.ndarray:
    """Planes with at least one voxel that is not ignore.

    Parameters
    ----------
    label
        (z, y, x) integers.
    axis
        Axis along which planes are counted.
    ignore_label
        Value of voxels that are not annotated; None if the label has no such value.

    Returns
    -------
    np.ndarray, shape (n,), int32
        Indices, ascending.
    """
    if ignore_label is None:
        return np.arange(label.shape[axis], dtype=np.int32)
    return _planes_of(label != ignore_label, axis)


def is_dense(label: np.ndarray, ignore_label: int | None) -> bool:
    """Whether no voxel of a label is ignore."""
    return ignore_label is None or not (label == ignore_label).any()


def infer_slice_axis(label: np.ndarray, ignore_label: int | None) -> int | None:
    """Axis along which a label was annotated, judged by its planes.

    Parameters
    ----------
    label
        (z, y, x) integers.
    ignore_label
        Value of voxels that are not annotated.

    Returns
    -------
    int or None
        The axis along which there is one plane only; else the one with the smallest number of
        planes that are annotated in part, of several that with fewer annotated planes, then the
        first. None for a dense label.
    """
    if ignore_label is None:
        return None
    annotated = label != ignore_label
    if annotated.all():
        return None
    if 1 in label.shape:
        return label.shape.index(1)

    def disorder(axis: int) -> tuple[int, int]:
        others = _others(axis)
        touched = annotated.any(axis=others)
        complete = annotated.all(axis=others)
        return int((touched & ~complete).sum()), int(touched.sum())

    return min(range(label.ndim), key=disorder)


def location_keys(labels: Mapping[str, Any]) -> list[LocationKey]:
    """Keys of nnU-Net's class locations: foreground labels or regions, and all that is annotated.

    Parameters
    ----------
    labels
        ``labels`` of a ``dataset.json`` that nnU-Net accepts.

    Returns
    -------
    list of int or tuple of int
        In nnU-Net's order. With an ignore label the last one is ``(-1, 0, 1, ...)``.
    """
    classes = without_ignore(labels)
    values: set[int] = set()
    for value in classes.values():
        values.update(value if isinstance(value, list | tuple) else [value])
    keys: list[LocationKey]
    if any(isinstance(value, list | tuple) and len(value) > 1 for value in classes.values()):
        regions = (_key(value) for value in classes.values())
        keys = [key for key in regions if key != 0 and key != (0,) * len(_values(key))]
    else:
        keys = [value for value in sorted(values) if value != 0]
    return [*keys, (-1, *sorted(values))] if ignore_label_of(labels) is not None else keys


def annotation_properties(seg: np.ndarray, labels: Mapping[str, Any]) -> dict[str, Any]:
    """Properties of a preprocessed case that tell where it is annotated.

    Parameters
    ----------
    seg
        (z, y, x) preprocessed label.
    labels
        ``labels`` of its ``dataset.json``.

    Returns
    -------
    dict
        ``class_locations`` as nnU-Net's data loaders take them, for every key of
        :func:`location_keys` an (n, 4) array of voxels (0, z, y, x), n <= MAX_LOCATIONS, drawn
        uniformly without repetition; and ``nnsparse``: ``version``, ``annotated_planes`` (n,)
        int32, ascending, along axis 0; ``class_planes``, likewise the planes that show each key;
        ``unannotated_locations``, voxels that are ignore, drawn like the others. Equal labels give
        equal properties. Voxels are signed, with room for a patch size to be added or taken away.
    """
    ignore_label = ignore_label_of(labels)
    rng = np.random.default_rng(LOCATION_SEED)
    planes = annotated_planes(seg, 0, ignore_label)
    whole = len(planes) == len(seg)
    annotated = seg if whole else seg[planes]
    dtype = np.int16 if max(seg.shape) < 2**14 else np.int32
    locations: dict[LocationKey, np.ndarray] = {}
    class_planes: dict[LocationKey, np.ndarray] = {}
    for key in location_keys(labels):
        if isinstance(key, tuple) and key[0] == -1:
            class_planes[key] = planes
            drawn = _draw(annotated, ignore_label, False, rng)
        else:
            mask = np.logical_or.reduce([annotated == value for value in _values(key)])
            class_planes[key] = planes[_planes_of(mask, 0)]
            drawn = _choose(np.flatnonzero(mask), rng)
        locations[key] = _to_voxels(drawn, annotated.shape, planes, dtype)
    unannotated = _draw(seg, ignore_label, True, rng)
    return {
        "class_locations": locations,
        PROPERTY: {
            "version": VERSION,
            "annotated_planes": planes,
            "class_planes": class_planes,
            "unannotated_locations": _to_voxels(unannotated, seg.shape, None, dtype),
        },
    }


def _draw(
    seg: np.ndarray, ignore_label: int | None, ignored: bool, rng: np.random.Generator
) -> np.ndarray:
    """Flat indices of voxels that are, or are not, ignore; most volumes need no search for them."""
    if seg.size == 0 or ignore_label is None:
        return np.zeros(0, np.int64)
    tries = rng.choice(seg.size, min(seg.size, _TRIES_PER_LOCATION * MAX_LOCATIONS), replace=False)
    hits: np.ndarray = tries[(seg.reshape(-1)[tries] == ignore_label) == ignored]
    if len(hits) >= MAX_LOCATIONS or len(tries) == seg.size:
        return hits[:MAX_LOCATIONS]
    return _choose(np.flatnonzero((seg == ignore_label) == ignored), rng)


def _choose(indices: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    count = min(len(indices), MAX_LOCATIONS)
    chosen = rng.choice(len(indices), count, replace=False) if count else slice(0)
    return np.asarray(indices[chosen])


def _to_voxels(
    indices: np.ndarray, shape: Sequence[int], planes: np.ndarray | None, dtype: Any
) -> np.ndarray:
    """Sorted (n, 4) voxels of flat indices into the given planes of an array."""
    voxels = np.zeros((len(indices), 1 + len(shape)), dtype)
    if len(indices):
        voxels[:, 1:] = np.stack(np.unravel_index(np.sort(indices), tuple(shape)), axis=1)
        if planes is not None:
            voxels[:, 1] = planes[voxels[:, 1]]
    return voxels


def _planes_of(mask: np.ndarray, axis: int) -> np.ndarray:
    if axis == 0 and mask.flags.c_contiguous:
        # one long row per plane: ten times as fast as any() over two axes
        rows = mask.reshape(len(mask), math.prod(mask.shape[1:]))
        return np.flatnonzero(rows.any(axis=1)).astype(np.int32)
    return np.flatnonzero(mask.any(axis=_others(axis))).astype(np.int32)


def _others(axis: int) -> tuple[int, ...]:
    return tuple(other for other in range(3) if other != axis)


def _key(value: Any) -> LocationKey:
    return tuple(int(v) for v in value) if isinstance(value, list | tuple) else int(value)


def _values(key: LocationKey) -> tuple[int, ...]:
    return key if isinstance(key, tuple) else (key,)
