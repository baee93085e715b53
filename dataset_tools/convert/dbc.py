"""Duke-Breast-Cancer-MRI of TCIA with its 3D masks of breast, fibroglandular tissue and vessels.

Images are DICOM series, ``Breast_MRI_001/STUDY/SERIES/*.dcm``, with descriptive or classic names of
folders. The masks (Lew et al. 2024), for 100 of the 922 patients, are two files of 3D Slicer in a
folder ``Breast_MRI_001``, ``Segmentation_Breast_MRI_001_Breast.seg.nrrd`` and
``Segmentation_Breast_MRI_001_Dense_and_Vessels.seg.nrrd``, drawn on the fat-saturated T1-weighted
series before contrast.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import SimpleITK as sitk

from nnunet_sparse.data.dicom_series import (
    Series,
    is_series_folder,
    read_dicom,
    read_series,
    series_geometry,
)
from nnunet_sparse.data.itk_volumes import (
    by_position,
    check_file,
    orientation_of,
    oriented,
)
from nnunet_sparse.data.slicer_segments import read_segment, read_union
from nnunet_sparse.dataset_tools.convert.source_cases import (
    FoundCases,
    LabelledVolume,
    SourceCase,
    exclusions,
)
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.spreadsheet import read_spreadsheet
from nnunet_sparse.system.walking import walk

_PATIENT = re.compile(r"Breast_MRI_\d+")
_TISSUE = "dense|fgt|fibroglandular"
_DYNAMIC = re.compile(r"dyn|vibrant|3d pre", re.IGNORECASE)
_AFTER_CONTRAST = re.compile(r"\bph ?\d|\d ?(st|nd|rd|th)\b|\bsub|\bmip", re.IGNORECASE)
_BEFORE_CONTRAST = re.compile(r"(?<![a-z])pre(?![a-z])", re.IGNORECASE)
_MAPPING_COLUMNS = ("original_path_and_filename", "classic_path")


def find_dbc(
    folder: Path,
    skip_incomplete: bool = False,
    masks: Path | None = None,
    mapping: Path | None = None,
    exclude: Iterable[str] = (),
) -> FoundCases:
    """List the patients that have masks, with the series before contrast.

    Parameters
    ----------
    folder
        Folder with the patients' folders, at any depth.
    skip_incomplete
        Leave out patients with masks but without images, or with one of the two masks.
    masks
        Folder with the masks; by default they are looked for in ``folder``.
    mapping
        TCIA's file path mapping table as CSV, which says which series is the one before contrast.
        Without it, the series' descriptions do.
    exclude
        Patients to leave out.

    Raises
    ------
    SparseError
        If there are no masks, a file or series is missing, or several series qualify.
    """
    segmented, studies = _masks(masks or folder), _studies(folder)
    if not segmented:
        raise SparseError(
            f"{masks or folder} holds no Breast_MRI_NNN/Segmentation_Breast_MRI_NNN_Breast.seg.nrrd"
            "; the masks are a download of their own (--masks FOLDER)"
        )
    uids = None if mapping is None else read_mapping(mapping)
    cases, left_out = {}, exclusions(exclude, segmented)
    for patient, files in segmented.items():
        if patient in left_out:
            continue
        if why := _incomplete(patient, files, studies):
            if not skip_incomplete:
                raise SparseError(f"{why}; --skip_incomplete leaves such cases out")
            left_out[patient] = why
            continue
        series = [read_series(f) for study in studies[patient] for f in _series_folders(study)]
        chosen = before_contrast(patient, series, uids)
        cases[patient] = SourceCase(patient, patient, chosen.folder, files)
    if not cases:
        raise SparseError(f"{folder}: no patient has images and both masks")
    return FoundCases(cases, left_out)


def before_contrast(
    patient: str, series: list[Series], uids: dict[str, set[str]] | None = None
) -> Series:
    """Choose the fat-saturated T1-weighted series before contrast.

    Parameters
    ----------
    patient
        ``Breast_MRI_NNN``.
    series
        All of the patient's.
    uids
        SeriesInstanceUID of that series by patient (:func:`read_mapping`). Without it: a dynamic
        series (``ax dyn pre``, ``ax 3d dyn``, ``Ax Vibrant MultiPhase``, ...) that is no later pass
        (``Ph1/ax dyn``, ``ax dyn 1st pass``, ...); of several the one that says ``pre``.

    Raises
    ------
    SparseError
        If there is none, or several.
    """
    if uids is None:
        dynamic = [
            s
            for s in series
            if _DYNAMIC.search(s.description) and not _AFTER_CONTRAST.search(s.description)
        ]
        candidates = [s for s in dynamic if _BEFORE_CONTRAST.search(s.description)] or dynamic
    else:
        candidates = [s for s in series if s.uid in uids.get(patient, set())]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        several = ", ".join(f"{s.folder} ({s.description!r})" for s in candidates)
        raise SparseError(
            f"{patient}: {len(candidates)} series may be the one before contrast: {several}; "
            "remove the wrong ones, give TCIA's table (--mapping), or leave the patient out "
            "(--exclude)"
        )
    if uids is not None:
        raise SparseError(f"{patient}: no series is the one that the mapping calls 'pre'")
    known = ", ".join(sorted(repr(s.description) for s in series)) or "no series"
    raise SparseError(
        f"{patient}: no series is described as dynamic before contrast ({known}); give "
        "TCIA's table (--mapping), or leave the patient out (--exclude)"
    )


def read_mapping(file: Path) -> dict[str, set[str]]:
    """SeriesInstanceUIDs of the series before contrast by patient, from TCIA's mapping table.

    Raises
    ------
    SparseError
        If the file is no such table as text (TCIA publishes it for Excel).
    """
    found: dict[str, set[str]] = {}
    if not file.is_file():
        raise SparseError(f"{file} does not exist")
    table = read_spreadsheet(file, columns=_MAPPING_COLUMNS)
    if missing := set(_MAPPING_COLUMNS) - set(table.names):
        raise SparseError(f"{file} lacks the column {min(missing)}")
    for _, row in table.rows:
        original, classic = (_parts(row[column]) for column in _MAPPING_COLUMNS)
        if len(original) > 2 and original[-2] == "pre" and len(classic) > 1:
            found.setdefault(original[-3], set()).add(classic[-2])
    return found


def check_dbc(case: SourceCase) -> None:
    """Refuse damaged masks, and series with gaps or gantry tilt."""
    series_geometry(case.image)
    for file in case.labels:
        check_file(file)


def read_dbc(case: SourceCase, *, tissue: bool) -> LabelledVolume:
    """Read the series before contrast, and the mask of the breast or of the tissue in it.

    Both masks are kept whole in the converted volume, so that both tasks have the same images.

    Parameters
    ----------
    case
        A patient; the label files are the breast's mask and the tissue's.
    tissue
        Whether the label is the fibroglandular tissue, not the breast.

    Raises
    ------
    SparseError
        If a file is damaged, or a segment is missing or lies outside the image.
    """
    breast_file, tissue_file = case.labels
    stored = read_dicom(case.image)
    image = oriented(stored)
    breast, how_breast = by_position(oriented(read_union(breast_file)), image, breast_file)
    dense, how_dense = by_position(oriented(read_segment(tissue_file, _TISSUE)), image, tissue_file)
    label, placement = (dense, how_dense) if tissue else (breast, how_breast)
    keep = sitk.Or(breast, dense)
    return LabelledVolume(image, label, keep, placement, orientation_of(stored))


def _parts(path: str) -> list[str]:
    """Parts of a path in the table, where some slashes are doubled."""
    return [part for part in path.split("/") if part]


def _patient_folders(root: Path) -> Iterator[Path]:
    """Folders named after a patient, without looking into them."""
    for path, folders, _ in walk(root):
        for name in sorted(folders):
            if _PATIENT.fullmatch(name):
                yield path / name
        folders[:] = sorted(name for name in folders if not _PATIENT.fullmatch(name))


def _masks(root: Path) -> dict[str, tuple[Path, Path]]:
    """Both masks of every patient that has one of them, by patient."""
    found: dict[str, tuple[Path, Path]] = {}
    for folder in _patient_folders(root):
        names = [
            f"Segmentation_{folder.name}_{of}.seg.nrrd" for of in ("Breast", "Dense_and_Vessels")
        ]
        breast, dense = (folder / name for name in names)
        if not (breast.exists() or dense.exists()):
            continue
        if folder.name in found:
            raise SparseError(
                f"{found[folder.name][0].parent} and {folder} hold masks of one patient; "
                "keep one of them"
            )
        found[folder.name] = (breast, dense)
    return dict(sorted(found.items()))


def _studies(root: Path) -> dict[str, list[Path]]:
    """Folders of studies by patient; a patient's folder of masks has none."""
    found: dict[str, list[Path]] = {}
    for folder in _patient_folders(root):
        for study in sorted(path for path in folder.iterdir() if path.is_dir()):
            found.setdefault(folder.name, []).append(study)
    return found


def _series_folders(study: Path) -> list[Path]:
    return sorted(path for path in study.iterdir() if path.is_dir() and is_series_folder(path))


def _incomplete(patient: str, files: tuple[Path, Path], studies: dict[str, list[Path]]) -> str:
    """What a patient with a mask lacks; empty if nothing."""
    for file in files:
        if not file.is_file():
            return f"{file} does not exist"
    return "" if patient in studies else f"{files[0]} has no image: there is no study of {patient}"
