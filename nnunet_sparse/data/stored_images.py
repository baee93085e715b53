"""Preprocessed images in a store, for those who look them up (see :mod:`nnunet_sparse.planners`).

A store is a folder ``nnUNet_preprocessed/OWNER/nnsparse/images/DIGEST`` for one way of
preprocessing; what lies in it says :mod:`nnunet_sparse.planners.image_store`, which writes it.
"""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.data.image_files import image_files
from nnunet_sparse.data.plans_configuration import (
    IMAGE_FIELDS,
    INTENSITIES,
    LABEL_FIELDS,
    SCHEMES_WITHOUT_INTENSITIES,
    Plans,
    configuration_of,
)
from nnunet_sparse.system.atomic import canonical_json, write_text
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.exact_json import from_json, to_json
from nnunet_sparse.system.json_files import load_json
from nnunet_sparse.system.plain_pickle import read_plain_pickle

logger = logging.getLogger(__name__)

OLD_RECORD = ".pkl"
"""Ending of the records of earlier versions."""

_VERSION = 1
_SHAPES = ("shape_before_cropping", "shape_after_cropping_and_before_resampling")
_FIELDS_OF_ALL = ("image_reader_writer", "transpose_forward")

Source = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class StoredImage:
    """A preprocessed image.

    Attributes
    ----------
    image
        (c, z, y, x) float32.
    nonzero
        Non-zero mask (1, z, y, x) uint8 of the same shape; None if no channel is normalised in it.
    zeros
        Non-zero mask (1, z, y, x) uint8 before resampling; None if it has no voxel outside.
    shape
        Preprocessed shape (z, y, x).
    properties
        nnU-Net's properties of the case, without those of its label.
    source
        Name, size and time (ns) of the files it was made from.
    """

    image: Path
    nonzero: Path | None
    zeros: Path | None
    shape: tuple[int, ...]
    properties: dict[str, Any]
    source: Source


def image_fields(plans: Plans, configuration: str) -> dict[str, Any]:
    """Everything in the plans that a preprocessed image depends on."""
    resolved = configuration_of(plans, configuration)
    # the mask is resampled as labels are
    keys = IMAGE_FIELDS + (LABEL_FIELDS if any(resolved["use_mask_for_norm"]) else ())
    intensities = plans.get(INTENSITIES, {})
    schemes = enumerate(resolved["normalization_schemes"])
    used = [str(c) for c, scheme in schemes if scheme not in SCHEMES_WITHOUT_INTENSITIES]
    return (
        {"version": _VERSION, "intensities": {c: intensities.get(c) for c in used}}
        | {key: resolved.get(key) for key in keys}
        | {key: plans.get(key) for key in _FIELDS_OF_ALL}
    )


def store_folder(dataset: Path, plans: Plans, configuration: str) -> Path:
    """Folder of the store for one way of preprocessing the images of a data set.

    Parameters
    ----------
    dataset
        ``nnUNet_preprocessed/OWNER``.
    plans, configuration
        They say how images are preprocessed.
    """
    content = canonical_json(image_fields(plans, configuration))
    return dataset / "nnsparse" / "images" / hashlib.sha256(content.encode()).hexdigest()[:16]


def look_up_images(
    folder: Path, sources: Mapping[str, Source]
) -> tuple[dict[str, StoredImage], list[str]]:
    """Complete images of these sources, and the IDs of the other cases."""
    found: dict[str, StoredImage] = {}
    for case_id, source in sources.items():
        try:
            stored = _read_record(folder, case_id)
        except FileNotFoundError:
            continue
        except (SparseError, ValueError, TypeError, LookupError, RecursionError) as error:
            logger.info("%s in %s is damaged and made anew: %s", case_id, folder, error)
            continue
        if stored["source"] != source:
            continue
        nonzero, zeros = (
            folder / part / f"{case_id}.b2nd" if stored[part] else None
            for part in ("nonzero", "zeros")
        )
        image = folder / f"{case_id}.b2nd"
        if all(file is None or file.is_file() for file in (image, nonzero, zeros)):
            found[case_id] = StoredImage(
                image, nonzero, zeros, stored["shape"], stored["properties"], source
            )
    return found, [case_id for case_id in sources if case_id not in found]


def _read_record(folder: Path, case_id: str) -> dict[str, Any]:
    """What is kept of an image beside its voxels; a pickle of an earlier version is replaced."""
    try:
        return _checked(from_json(load_json(image_record(folder, case_id), float)))
    except FileNotFoundError:
        old = folder / f"{case_id}{OLD_RECORD}"
        stored = _checked(read_plain_pickle(old))
        write_text(image_record(folder, case_id), json.dumps(to_json(stored)))
        old.unlink(missing_ok=True)
        return stored


def image_record(folder: Path, case_id: str) -> Path:
    """File that a store keeps of an image beside its voxels."""
    return folder / f"{case_id}.json"


def _checked(stored: Any) -> dict[str, Any]:
    """Refuse records that no version of this program has written."""
    shapes = stored["shape"], *(stored["properties"][key] for key in _SHAPES)
    for shape in shapes:
        if len(shape) != 3 or not all(isinstance(n, int | np.integer) and n > 0 for n in shape):
            raise ValueError(f"{shape} is no shape of a volume")
    if not {"zeros", "nonzero", "source"} <= stored.keys():
        raise ValueError("parts of it are missing")
    return dict(stored)


def image_source(images: Sequence[Path]) -> Source:
    """Name, size and time of the files of an image."""
    statuses = ((file, file.stat()) for file in image_files(images))
    return tuple((f.name, status.st_size, status.st_mtime_ns) for f, status in statuses)
