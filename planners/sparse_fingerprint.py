"""nnU-Net's fingerprint of a data set, measured without ignored voxels.

nnU-Net takes every label above 0 for foreground, the ignore label included. In sparse labels that
is nearly every voxel, and CT intensities would be normalised by the background's.
"""

import contextlib
import io
import math
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import (
    DatasetFingerprintExtractor,
)
from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json
from nnunetv2.paths import nnUNet_preprocessed
from nnunetv2.preprocessing.normalization.default_normalization_schemes import CTNormalization
from nnunetv2.preprocessing.normalization.map_channel_name_to_normalization import (
    get_normalization_scheme,
)

from nnunet_sparse.data.declared_labels import ignore_label_of
from nnunet_sparse.data.plans_configuration import INTENSITIES
from nnunet_sparse.planners.plans import FINGERPRINT_FILE
from nnunet_sparse.system.atomic import write_json
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.parallel import map_cases

Fingerprint = dict[str, Any]

# starting processes, and handing samples over, takes longer than measuring less than this
_BYTES_WORTH_A_POOL = 10**8
_PERCENTILES = {"percentile_00_5": 0.5, "median": 50.0, "percentile_99_5": 99.5}


class SparseFingerprintExtractor(DatasetFingerprintExtractor):  # type: ignore[misc]
    """nnU-Net's fingerprint, in which ignored voxels are no foreground.

    On labels without ignored voxels it equals nnU-Net's.

    Parameters
    ----------
    dataset_name_or_id
        A raw data set.
    num_processes
        Number of processes; the result does not depend on it.
    verbose
        As in nnU-Net.
    cases
        The cases that are measured, or None for all training cases.
    """

    def __init__(
        self,
        dataset_name_or_id: str | int,
        num_processes: int = 8,
        verbose: bool = False,
        cases: Collection[str] | None = None,
    ) -> None:
        super().__init__(dataset_name_or_id, num_processes, verbose)
        if cases is not None:
            if unknown := sorted(set(cases) - set(self.dataset)):
                raise SparseError(f"{self.dataset_name} has no training case {unknown[0]}")
            chosen = set(cases)
            self.dataset: dict[str, Any] = {
                c: files for c, files in self.dataset.items() if c in chosen
            }
        if not self.dataset:
            raise SparseError(f"{self.dataset_name}: no case to take a fingerprint of")

    def run(self, overwrite_existing: bool = False) -> Fingerprint:
        """Measure, and write the file where nnU-Net's planners look for it.

        Parameters
        ----------
        overwrite_existing
            Whether to measure anew where the file exists.

        Returns
        -------
        dict
            The content of ``dataset_fingerprint.json``.
        """
        file = Path(nnUNet_preprocessed) / self.dataset_name / FINGERPRINT_FILE
        if overwrite_existing or not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, self.measure())
        return super().run(overwrite_existing=False)  # type: ignore[no-any-return]

    def measure(self) -> Fingerprint:
        """Measure the cases; nothing is written.

        Returns
        -------
        dict
            Content of nnU-Net's ``dataset_fingerprint.json``. Where there is no annotated
            foreground voxel, intensities that no normalisation needs are None.

        Raises
        ------
        SparseError
            If a file is unusable, or if there is no annotated foreground voxel although CT
            normalisation needs its intensities.
        """
        first = next(iter(self.dataset.values()))["images"][0]
        reader = reader_class(self.dataset_json, first)
        ignore = ignore_label_of(self.dataset_json["labels"])
        measure = partial(
            _measure_case,
            reader=reader,
            ignore_label=ignore,
            num_samples=int(self.num_foreground_voxels_for_intensitystats // len(self.dataset)),
        )
        jobs = {c: (list(files["images"]), files["label"]) for c, files in self.dataset.items()}
        size = sum(Path(image).stat().st_size for images, _ in jobs.values() for image in images)
        in_parallel = self.num_processes if size > _BYTES_WORTH_A_POOL else 1
        cases = list(map_cases(measure, jobs, in_parallel, "Measuring images").values())
        channels = self.dataset_json.get("channel_names") or self.dataset_json["modality"]
        return {
            "spacings": [case.spacing for case in cases],
            "shapes_after_crop": [case.shape for case in cases],
            INTENSITIES: {
                str(number): self._properties(
                    str(name), np.concatenate([case.intensities[number] for case in cases])
                )
                for number, name in enumerate(channels.values())
            },
            "median_relative_size_after_cropping": float(
                np.median([case.relative_size for case in cases])
            ),
        }

    def _properties(self, channel: str, intensities: np.ndarray) -> dict[str, float | None]:
        if len(intensities) > 0:
            return intensity_properties(intensities)
        if issubclass(get_normalization_scheme(channel), CTNormalization):
            raise SparseError(
                f"{self.dataset_name} has no annotated foreground voxel, whose intensities the "
                f"normalisation of channel {channel} needs: annotate slices that show some, or "
                "take plans from another data set with --plans_from"
            )
        return dict.fromkeys(("mean", "std", "min", "max", *_PERCENTILES))


def intensity_properties(intensities: np.ndarray) -> dict[str, float | None]:
    """Statistics that nnU-Net keeps of a channel's foreground intensities, one value at least."""
    percentiles = np.percentile(intensities, list(_PERCENTILES.values()))
    return {
        "mean": float(np.mean(intensities)),
        "std": float(np.std(intensities)),
        "min": float(np.min(intensities)),
        "max": float(np.max(intensities)),
        **dict(zip(_PERCENTILES, map(float, percentiles), strict=True)),
    }


def reader_class(dataset_json: dict[str, Any], image: str) -> Any:
    """nnU-Net's reader of a data set, without the tracebacks of those that do not take its images.

    Parameters
    ----------
    dataset_json
        Content of ``dataset.json``.
    image
        One of the images.
    """
    with contextlib.redirect_stderr(io.StringIO()):
        return determine_reader_writer_from_dataset_json(dataset_json, image, verbose=False)


@dataclass(frozen=True)
class _Measured:
    """Spacing in mm, shape within the non-zero mask's box, samples per channel."""

    spacing: list[float]
    shape: list[int]
    intensities: list[np.ndarray]
    relative_size: float


class _WithoutIgnored:
    """Reader of nnU-Net for which ignored voxels are background."""

    def __init__(self, reader: Any, ignore_label: int) -> None:
        self._reader = reader()
        self._ignore_label = ignore_label

    def read_images(self, files: list[str]) -> Any:
        return self._reader.read_images(files)

    def read_seg(self, file: str) -> Any:
        label, properties = self._reader.read_seg(file)
        label[label == self._ignore_label] = 0
        return label, properties


def _measure_case(
    files: tuple[list[str], str], reader: Any, ignore_label: int | None, num_samples: int
) -> _Measured:
    images, label = files
    used = reader if ignore_label is None else partial(_WithoutIgnored, reader, ignore_label)
    try:
        shape, spacing, intensities, _, relative_size = DatasetFingerprintExtractor.analyze_case(
            images, label, used, num_samples
        )
    except AssertionError as error:
        raise SparseError(f"{label} or its image is unusable: {error}") from error
    if any(not math.isfinite(value) for value in spacing):
        raise SparseError(f"{images[0]} has the spacing {spacing}, which is not finite")
    return _Measured(
        spacing=[float(value) for value in spacing],
        shape=[int(side) for side in shape],
        intensities=[np.asarray(values) for values in intensities],
        relative_size=float(relative_size),
    )
