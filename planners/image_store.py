"""Images that are preprocessed once and shared by all variants of a base.

A store is a folder ``nnUNet_preprocessed/OWNER/nnsparse/images/DIGEST`` for one way of
preprocessing. It holds, for every case,

- ``CASE.b2nd``: the image as nnU-Net preprocesses it for *inference*, without looking at a label;
- ``zeros/CASE.b2nd``: (1, z, y, x) uint8, 0 outside the image's non-zero mask, transposed and
  cropped but not resampled; only where a voxel is outside;
- ``nonzero/CASE.b2nd``: the same after resampling; only where a channel is normalised within it;
- ``dense_labels/CASE.DIGEST.b2nd``: dense labels that had to be resampled;
- ``CASE.json``: geometry, and the names, sizes and times of the source files; it is written last.
  Stores of earlier versions hold ``CASE.pkl`` instead, which is replaced when it is read.
"""

import contextlib
import io
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.data.compressed_array import write_array
from nnunet_sparse.data.damaged_files import first_line
from nnunet_sparse.data.plans_configuration import Plans
from nnunet_sparse.data.raw_dataset import Case, RawDataset
from nnunet_sparse.data.stored_images import (
    OLD_RECORD,
    Source,
    StoredImage,
    image_record,
    image_source,
    look_up_images,
)
from nnunet_sparse.planners.planning_input import read_base_name
from nnunet_sparse.system.errors import SparseError, naming
from nnunet_sparse.system.exact_json import to_json
from nnunet_sparse.system.foreign_code import explained
from nnunet_sparse.system.locks import held_if_free, locked
from nnunet_sparse.system.parallel import map_cases

logger = logging.getLogger(__name__)

_LOCK, _STAGING = ".lock", ".staging"


def image_owners(raw: RawDataset) -> dict[str, str]:
    """Name of the data set under which the image of every training case is kept.

    It is the base that ``selection.json`` names, where that holds the same image files under the
    same case ID, else the data set itself.
    """
    name = read_base_name(raw.folder)
    try:
        base = RawDataset.open(raw.folder.parent / name) if name else None
    except (SparseError, OSError):
        base = None
    if base is None:
        return dict.fromkeys(raw.training, raw.name)
    return {
        case_id: base.name if _same_images(case, base.training.get(case_id)) else raw.name
        for case_id, case in raw.training.items()
    }


def store_images(
    cases: Mapping[str, Case],
    folder: Path,
    plans: Plans,
    configuration: str,
    num_processes: int,
) -> dict[str, StoredImage]:
    """Preprocess the images that a store does not hold yet, or that have changed.

    A call that is killed leaves complete images only; calls at the same time wait for each other.

    Parameters
    ----------
    cases
        Cases by their ID.
    folder
        The store, as :func:`store_folder` names it.
    plans, configuration
        How images are preprocessed.
    num_processes
        Number of processes; the result does not depend on it.

    Returns
    -------
    dict of str to StoredImage
        The images of all cases.

    Raises
    ------
    SparseError
        If an image cannot be read or holds NaN or infinite values.
    """
    sources = {case_id: image_source(case.images) for case_id, case in cases.items()}
    found, missing = look_up_images(folder, sources)
    if not missing:
        _remove_leftovers(folder)
        return found
    (folder / "zeros").mkdir(parents=True, exist_ok=True)
    (folder / "nonzero").mkdir(exist_ok=True)
    with locked(folder / _LOCK):
        found, missing = look_up_images(folder, sources)  # another process may have made them
        staging = folder / _STAGING
        shutil.rmtree(staging, ignore_errors=True)  # of a killed call
        staging.mkdir()
        work = partial(
            _store_image, folder=folder, staging=staging, plans=plans, configuration=configuration
        )
        jobs = {case_id: (cases[case_id], sources[case_id]) for case_id in missing}
        try:
            map_cases(work, jobs, num_processes, "Preprocessing images")
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    found, missing = look_up_images(folder, sources)
    if missing:
        raise SparseError(f"the image of case {missing[0]} changed while it was preprocessed")
    return found


def _remove_leftovers(folder: Path) -> None:
    """Remove what a call has left that was killed when all images were there."""
    if not (folder / _LOCK).exists():
        return
    with held_if_free(folder / _LOCK) as held:
        if held:
            shutil.rmtree(folder / _STAGING, ignore_errors=True)


def _store_image(
    job: tuple[Case, Source], folder: Path, staging: Path, plans: Plans, configuration: str
) -> None:
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    case, source = job
    manager = PlansManager(plans)
    planned = manager.get_configuration(configuration)
    raw_image, properties = _read_image(case, manager.image_reader_writer_class())
    preprocessor = planned.preprocessor_class(verbose=False)
    with contextlib.redirect_stdout(io.StringIO()):
        image, seg, properties = preprocessor.run_case_npy(
            raw_image, None, properties, manager, planned, {}
        )
    image, nonzero = image.astype(np.float32, copy=False), seg >= 0
    cropped = nonzero
    if seg.shape[1:] != tuple(properties["shape_after_cropping_and_before_resampling"]):
        cropped = _cropped_mask(raw_image, manager.transpose_forward, properties)
    masks = {
        "zeros": None if cropped.all() else cropped,
        "nonzero": nonzero if any(planned.use_mask_for_norm) else None,
    }
    name = f"{case.case_id}.b2nd"
    # its files are replaced one by one
    image_record(folder, case.case_id).unlink(missing_ok=True)
    (folder / f"{case.case_id}{OLD_RECORD}").unlink(missing_ok=True)
    for part, mask in masks.items():
        if mask is not None:
            write_array(staging / part / name, mask.astype(np.uint8), planned.patch_size)
            (staging / part / name).replace(folder / part / name)
    write_array(staging / name, image, planned.patch_size)
    (staging / name).replace(folder / name)
    record = {
        "source": source,
        "shape": tuple(int(n) for n in image.shape[1:]),
        "properties": properties,
        **{part: mask is not None for part, mask in masks.items()},
    }
    text, temporary = json.dumps(to_json(record)), image_record(staging, case.case_id)
    with naming(temporary):
        temporary.write_text(text, encoding="utf-8")
    temporary.replace(image_record(folder, case.case_id))


def _cropped_mask(
    raw_image: np.ndarray, transpose_forward: Sequence[int], properties: Mapping[str, Any]
) -> np.ndarray:
    """Non-zero mask (1, z, y, x) as nnU-Net has it after cropping."""
    from nnunetv2.preprocessing.cropping.cropping import create_nonzero_mask

    mask: np.ndarray = create_nonzero_mask(raw_image).transpose(transpose_forward)
    return mask[tuple(slice(*bounds) for bounds in properties["bbox_used_for_cropping"])][None]


def _read_image(case: Case, reader: Any) -> tuple[np.ndarray, dict[str, Any]]:
    names = ", ".join(str(file) for file in case.images)
    with (
        explained(lambda error: f"nnU-Net cannot read {names}: {first_line(error)}"),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        image, properties = reader.read_images([str(file) for file in case.images])
    for channel, voxels in enumerate(image):
        if not np.isfinite(voxels).all():
            file = case.images[channel] if len(case.images) == len(image) else case.images[0]
            wrong = voxels[~np.isfinite(voxels)]
            raise SparseError(
                f"{file} holds {wrong[0]} in {len(wrong)} of {voxels.size} voxels; an image must "
                "hold finite numbers"
            )
    return image, properties


def _same_images(case: Case, other: Case | None) -> bool:
    if other is None or len(case.images) != len(other.images):
        return False
    pairs = zip(case.images, other.images, strict=True)
    return all(a == b or (b.exists() and a.samefile(b)) for a, b in pairs)
