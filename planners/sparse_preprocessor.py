"""Preprocessing that shares images between variants and keeps every annotated slice.

Plans keep the name of nnU-Net's preprocessor, which prediction uses; the images are those that it
makes for prediction.
"""

import logging
import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nnunet_sparse.data.annotation import MASK_SUFFIX, annotation_properties, infer_slice_axis
from nnunet_sparse.data.compressed_array import write_array
from nnunet_sparse.data.label_files import keeps_header
from nnunet_sparse.data.plans_configuration import Plans, configuration_of
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.slice_axis import read_slice_axis
from nnunet_sparse.data.stored_images import StoredImage, store_folder
from nnunet_sparse.planners.image_store import image_owners, store_images
from nnunet_sparse.planners.label_planes import LabelPreprocessing, preprocess_label
from nnunet_sparse.planners.plans import check_configurations
from nnunet_sparse.system.errors import SparseError, naming
from nnunet_sparse.system.links import link_file
from nnunet_sparse.system.locks import locked
from nnunet_sparse.system.parallel import map_cases

logger = logging.getLogger(__name__)

_PREPROCESSOR = "DefaultPreprocessor"
_ENDINGS = (".b2nd", ".pkl", ".npz", ".npy")
# starting processes takes about as long as preprocessing sparse labels of this size
_VOXELS_WORTH_PROCESSES = 2 * 10**8


class SparsePreprocessor:
    """Makes a configuration's folder in ``nnUNet_preprocessed``, as ``nnUNetDatasetBlosc2`` reads.

    It holds ``CASE.b2nd``, a link to the image in the base's store, ``CASE_seg.b2nd`` and
    ``CASE.pkl``. Where the plans normalise a channel within the non-zero mask, the folder with the
    ending ``_nonzero`` holds the masks (1, z, y, x), uint8.
    """

    def run(
        self,
        raw: RawDataset,
        plans: Plans,
        configuration: str,
        output: Path,
        num_processes: int,
    ) -> None:
        """Preprocess all training cases; files that are there are replaced one by one.

        Parameters
        ----------
        raw
            Data set whose training files exist.
        plans
            Its plans.
        configuration
            Configuration of the plans.
        output
            ``nnUNet_preprocessed/DATASET/DATA_IDENTIFIER``. Cases that the data set does not have
            are removed from it.
        num_processes
            Number of processes; the result does not depend on it.

        Raises
        ------
        SparseError
            If the configuration or its preprocessor is unknown, an image or label cannot be read,
            an image holds NaN, or a label has another shape than its image.
        """
        check_configurations(plans, [configuration])
        resolved = configuration_of(plans, configuration)
        if resolved["preprocessor_name"] != _PREPROCESSOR:
            raise SparseError(
                f"configuration {configuration!r} wants the preprocessor "
                f"{resolved['preprocessor_name']!r}, images can be shared with {_PREPROCESSOR} only"
            )
        how = LabelPreprocessing.planned(
            plans, configuration, raw.dataset_json["labels"], read_slice_axis(raw.folder)
        )
        images = _images(raw, plans, configuration, output.parent.parent, num_processes)
        jobs = {
            case_id: LabelJob(case_id, case.label, images[case_id])
            for case_id, case in raw.training.items()
            if case.label is not None
        }
        output.mkdir(parents=True, exist_ok=True)
        with locked(output.with_name(f".nnsparse_{output.name}.lock")):
            staging = output.with_name(f".nnsparse_{output.name}")
            shutil.rmtree(staging, ignore_errors=True)  # of a killed call
            staging.mkdir()
            try:
                work = partial(_preprocess_case, how=how, output=output, staging=staging)
                voxels = sum(job.num_voxels for job in jobs.values())
                small = voxels <= _VOXELS_WORTH_PROCESSES
                # nnU-Net's look-ups change sys.path, which threads that import must not see
                threads = small and not any(job.calls_nnunet(how.reader) for job in jobs.values())
                axes = map_cases(
                    work,
                    jobs,
                    num_processes if threads or not small else 1,
                    "Preprocessing labels",
                    threads=threads,
                ).values()
                _link_masks(jobs, output, staging)
                _remove_other_cases(output, jobs)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        if across := sum(axis not in (None, 0) for axis in axes):
            logger.warning(
                "%d of %d labels of %s are annotated along another axis than the one that %s cuts "
                "along: its slices show lines of annotation",
                across,
                len(jobs),
                raw.name,
                configuration,
            )


@dataclass(frozen=True)
class LabelJob:
    """A label to be preprocessed, and its preprocessed image."""

    case_id: str
    label: Path
    image: StoredImage

    @property
    def num_voxels(self) -> int:
        """Voxels of the label before and after preprocessing, the larger number."""
        sizes = (self.image.properties["shape_before_cropping"], self.image.shape)
        return max(int(z) * int(y) * int(x) for z, y, x in sizes)

    def calls_nnunet(self, reader: str) -> bool:
        """Whether nnU-Net's reader or its resampling may be needed."""
        cropped = self.image.properties["shape_after_cropping_and_before_resampling"]
        return not keeps_header(self.label, reader) or tuple(cropped) != self.image.shape


def _images(
    raw: RawDataset, plans: Plans, configuration: str, preprocessed: Path, num_processes: int
) -> dict[str, StoredImage]:
    """Preprocessed images of all training cases, in the stores of their owners."""
    owners = image_owners(raw)
    images: dict[str, StoredImage] = {}
    for owner in sorted(set(owners.values())):
        folder = store_folder(preprocessed / owner, plans, configuration)
        cases = {c: case for c, case in raw.training.items() if owners[c] == owner}
        images |= store_images(cases, folder, plans, configuration, num_processes)
    return images


def _preprocess_case(
    job: LabelJob, how: LabelPreprocessing, output: Path, staging: Path
) -> int | None:
    """Preprocess one label; return its slice axis where that must be looked at."""
    seg = preprocess_label(job.label, job.image, how)
    name = f"{job.case_id}_seg.b2nd"
    write_array(staging / name, seg[None], how.patch_size)
    (staging / name).replace(output / name)
    properties = job.image.properties | annotation_properties(seg, how.labels)
    record = staging / f"{job.case_id}.pkl"
    with naming(record):
        record.write_bytes(pickle.dumps(properties))
    record.replace(output / record.name)
    _link(job.image.image, output / f"{job.case_id}.b2nd", staging)
    in_question = how.slice_axis is None and len(how.spacing) == 2
    return infer_slice_axis(seg, how.ignore_label) if in_question else None


def _link_masks(jobs: Mapping[str, LabelJob], output: Path, staging: Path) -> None:
    folder = output.with_name(output.name + MASK_SUFFIX)
    masks = {c: job.image.nonzero for c, job in jobs.items() if job.image.nonzero is not None}
    if masks:
        folder.mkdir(exist_ok=True)
        for case_id, mask in masks.items():
            _link(mask, folder / f"{case_id}.b2nd", staging)
    if folder.is_dir():
        _remove_other_cases(folder, masks)


def _link(source: Path, link: Path, staging: Path) -> None:
    """Let ``link`` stand for a file of the store; what is there is replaced in one step."""
    if link.exists():
        ours, theirs = link.stat(), source.stat()
        if (ours.st_size, ours.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns):
            return
    temporary = staging / link.name
    link_file(source, temporary, hard=True)
    temporary.replace(link)


def _remove_other_cases(folder: Path, cases: Mapping[str, object]) -> None:
    """Remove cases that are not of this data set, and files of nnU-Net's other format."""
    wanted = {f"{case_id}{end}" for case_id in cases for end in (".b2nd", "_seg.b2nd", ".pkl")}
    for file in folder.iterdir():
        if file.suffix in _ENDINGS and file.name not in wanted:
            file.unlink()
