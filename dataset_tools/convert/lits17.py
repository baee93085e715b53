"""LiTS17 as it is published (Bilic et al. 2023): ``volume-N.nii`` and ``segmentation-N.nii``.

The files lie in ``Training Batch 1`` and ``Training Batch 2``, or in any other folders. Label 1 is
the liver, 2 the tumour.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import SimpleITK as sitk

from nnunet_sparse.data.itk_volumes import (
    orientation_of,
    oriented,
    placed_like,
    read_itk_image,
    read_itk_volume,
    same_voxels,
    to_label,
)
from nnunet_sparse.dataset_tools.convert.source_cases import (
    FoundCases,
    LabelledVolume,
    SourceCase,
    by_name,
    pair,
)
from nnunet_sparse.system.errors import SparseError

_FILE = re.compile(r"(volume|segmentation)-(\d+)\.nii(\.gz)?")
_VALUES = frozenset({0, 1, 2})


def find_lits17(
    folder: Path, skip_incomplete: bool = False, exclude: Iterable[str] = ()
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

    Raises
    ------
    SparseError
        If there is none, one of the two is missing, or a number exists twice.
    """
    files: dict[str, list[tuple[str, Path]]] = {"volume": [], "segmentation": []}
    for path in sorted(folder.rglob("*.nii*")):
        if match := _FILE.fullmatch(path.name):
            files[match[1]].append((f"lits_{int(match[2]):03d}", path))
    if not files["volume"]:
        raise SparseError(f"{folder} holds no volume-N.nii or volume-N.nii.gz, as LiTS17 has them")
    volumes, labels = by_name(files["volume"]), by_name(files["segmentation"])
    return pair(volumes, labels, "segmentation", skip_incomplete, exclude)


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
    if same_voxels(oriented(label), oriented(image)):
        placed, placement = placed_like(oriented(label), oriented(image)), "same"
    elif label.GetSize() == image.GetSize():
        placed, placement = oriented(placed_like(label, image)), "by voxels"
    else:
        raise SparseError(
            f"{file} has {_size(label)} voxels, its volume {case.image} {_size(image)} (x, y, z)"
        )
    return LabelledVolume(oriented(image), placed, placed, placement, orientation_of(image))


def _size(image: sitk.Image) -> str:
    return " x ".join(map(str, image.GetSize()))
