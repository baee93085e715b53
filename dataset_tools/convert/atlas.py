"""ATLAS R2.0 as it is published (Liew et al. 2022): BIDS, in the space of the MNI152 template.

``Training/R001/sub-r001s001/ses-1/anat/`` holds an image and a mask, whose names begin with
``sub-r001s001_ses-1_space-MNI152NLin2009aSym_``. Images of ``Testing`` have no mask.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from nnunet_sparse.data.geometry import geometry_of
from nnunet_sparse.data.itk_volumes import (
    in_order_of,
    orientation_of,
    oriented,
    read_itk_image,
    read_itk_volume,
    to_label,
)
from nnunet_sparse.data.same_voxels import check_same_voxels
from nnunet_sparse.dataset_tools.convert.source_cases import (
    FoundCases,
    LabelledVolume,
    SourceCase,
    by_name,
    pair,
)
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.walking import files_below

_FILE = re.compile(
    r"((sub-[A-Za-z0-9]+)_ses-[A-Za-z0-9]+)_space-MNI152NLin2009aSym_"
    r"(T1w|label-L_desc-T1lesion_mask)\.nii(?:\.gz)?"
)
_TEST_FOLDER = re.compile(r"test(ing)?", re.IGNORECASE)
_VALUES = frozenset({0, 1})


def find_atlas(
    folder: Path, skip_incomplete: bool = False, exclude: Iterable[str] = ()
) -> FoundCases:
    """List the sessions with image and mask.

    Parameters
    ----------
    folder
        ``ATLAS_2``, or any folder that holds the files, at any depth.
    skip_incomplete
        Leave out images without mask and masks without image. Images without mask in a folder
        ``Testing`` always are.
    exclude
        Cases to leave out.

    Raises
    ------
    SparseError
        If there is none, one of the two is missing, or a session exists twice.
    """
    files: dict[str, list[tuple[str, Path]]] = {"T1w": [], "mask": []}
    patients, testing = {}, {}
    for path in files_below(folder, "sub-*.nii*"):
        if match := _FILE.fullmatch(path.name):
            patients[match[1]] = match[2]
            files["T1w" if match[3] == "T1w" else "mask"].append((match[1], path))
            folders = (folder.resolve().name, *path.relative_to(folder).parts[:-1])
            if any(_TEST_FOLDER.fullmatch(name) for name in folders):
                testing[match[1]] = f"{path} is a test image without mask"
    images, masks = by_name(files["T1w"]), by_name(files["mask"])
    if not images:
        raise SparseError(
            f"{folder} holds no sub-*_ses-*_space-MNI152NLin2009aSym_T1w.nii.gz, as ATLAS R2.0 has "
            "them"
        )
    without_mask = {name: why for name, why in testing.items() if name not in masks}
    images = {name: path for name, path in images.items() if name not in without_mask}
    found = pair(images, masks, "lesion mask", skip_incomplete, exclude, patients)
    return FoundCases(found.cases, found.left_out | without_mask)


def read_atlas(case: SourceCase) -> LabelledVolume:
    """Read an image and its mask.

    Raises
    ------
    SparseError
        If they do not lie on the same voxels, or the mask holds other values than 0 and 1.
    """
    (file,) = case.labels
    image, stored = read_itk_image(case.image), to_label(read_itk_volume(file), file, _VALUES)
    label = in_order_of(stored, file, image, case.image)
    if label is None:
        places = geometry_of(oriented(stored)), geometry_of(oriented(image))
        check_same_voxels(file, places[0], case.image, places[1], "its image")
        raise SparseError(f"{file} lies elsewhere than its image {case.image}")
    placed = oriented(label)
    return LabelledVolume(oriented(image), placed, placed, "same", orientation_of(image))
