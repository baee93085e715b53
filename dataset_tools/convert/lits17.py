"""LiTS17 as it is published (Bilic et al. 2023): ``volume-N.nii`` and ``segmentation-N.nii``.

The files lie in ``Training Batch 1`` and ``Training Batch 2``, or in any other folders. Label 1 is
the liver, 2 the tumour. Volumes 28 to 47 are from 3D-IRCADb; their headers have lost the spacing.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import SimpleITK as sitk

from nnunet_sparse.data.geometry import read_spacing
from nnunet_sparse.data.itk_volumes import (
    in_order_of,
    orientation_of,
    oriented,
    placed_like,
    read_itk_image,
    read_itk_volume,
    to_label,
)
from nnunet_sparse.dataset_tools.convert.source_cases import (
    FoundCases,
    LabelledVolume,
    SourceCase,
    by_name,
    check_files,
    pair,
)
from nnunet_sparse.dataset_tools.convert.target_grid import Triple
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.walking import files_below

_FILE = re.compile(r"(volume|segmentation)-(\d+)\.nii(\.gz)?")
_VALUES = frozenset({0, 1, 2})
# lits_028 to lits_047; lists disagree about the last ones
_IRCADB = range(28, 49)
_LOST = (
    "the header says 1 x 1 x 1 mm, by which LiTS17 has overwritten the voxel sizes of its volumes "
    "from 3D-IRCADb: they are converted at a wrong scale unless --spacings gives the true sizes, "
    "or --exclude leaves them out"
)


def find_lits17(
    folder: Path,
    skip_incomplete: bool = False,
    exclude: Iterable[str] = (),
    spacings: Mapping[str, Triple] | None = None,
) -> FoundCases:
    """List the volumes with their segmentations.

    Parameters
    ----------
    folder
        Folder that holds the files, at any depth.
    skip_incomplete
        Leave out volumes without segmentation and segmentations without volume.
    exclude
        Cases to leave out.
    spacings
        Voxel sizes in mm, (z, y, x), of cases whose headers are wrong.

    Raises
    ------
    SparseError
        If there is none, one of the two is missing, a number exists twice, or a spacing is given
        for a case that does not exist.
    """
    files: dict[str, list[tuple[str, Path]]] = {"volume": [], "segmentation": []}
    for path in files_below(folder, "*.nii*"):
        if match := _FILE.fullmatch(path.name):
            files[match[1]].append((f"lits_{int(match[2]):03d}", path))
    if not files["volume"]:
        raise SparseError(f"{folder} holds no volume-N.nii or volume-N.nii.gz, as LiTS17 has them")
    volumes, labels = by_name(files["volume"]), by_name(files["segmentation"])
    found = pair(volumes, labels, "segmentation", skip_incomplete, exclude)
    spacings = spacings or {}
    if unknown := sorted(spacings.keys() - volumes.keys()):
        raise SparseError(f"--spacings: there is no case {unknown[0]!r} in {folder}")
    cases = {c: replace(case, spacing_mm=spacings.get(c)) for c, case in found.cases.items()}
    return FoundCases(cases, found.left_out)


def check_lits17(case: SourceCase) -> str | None:
    """Refuse damaged files, and tell of a header that has lost its spacing.

    Returns
    -------
    str or None
        What should be known of the case before it is converted.
    """
    check_files(case)
    if case.spacing_mm is None and _has_lost_spacing(case, read_spacing(case.image, "SimpleITKIO")):
        return _LOST
    return None


def read_lits17(case: SourceCase) -> LabelledVolume:
    """Read a volume and its segmentation.

    The headers of some pairs disagree about the position. Where the two lie on the same voxels by
    their headers, the headers are believed; where they do not but have equal shapes, the
    segmentation is taken voxel by voxel and gets the volume's header.

    Raises
    ------
    SparseError
        If the shapes differ, or there are other labels than 0, 1 and 2.
    """
    (file,) = case.labels
    image, label = read_itk_image(case.image), to_label(read_itk_volume(file), file, _VALUES)
    lost = _has_lost_spacing(case, image.GetSpacing())
    if (turned_label := in_order_of(label, file, image, case.image)) is not None:
        placed, placement = oriented(turned_label), "same"
    elif label.GetSize() == image.GetSize():
        placed, placement = oriented(placed_like(label, image)), "by voxels"
    else:
        raise SparseError(
            f"{file} has {_size(label)} voxels, its volume {case.image} {_size(image)} (x, y, z)"
        )
    turned, spacing_from = oriented(image), "header, overwritten by 1 x 1 x 1" if lost else "header"
    if case.spacing_mm is not None:
        for of_case in (turned, placed):
            of_case.SetSpacing(case.spacing_mm[::-1])
        spacing_from = "--spacings"
    return LabelledVolume(turned, placed, placed, placement, orientation_of(image), spacing_from)


def _has_lost_spacing(case: SourceCase, spacing: Sequence[float]) -> bool:
    """Whether it is a volume of 3D-IRCADb as LiTS17 gives it, with 1 mm along all axes."""
    return int(case.case_id.removeprefix("lits_")) in _IRCADB and tuple(spacing) == (1, 1, 1)


def _size(image: sitk.Image) -> str:
    return " x ".join(map(str, image.GetSize()))
