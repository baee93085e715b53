"""Miniatures of the published data sets: their folders, file names, headers and oddities."""

import gzip
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk

from nnunet_sparse.data.affines import RAS_TO_LPS

LPS = np.eye(3)
ROW = "0020|0037"
Draw = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""Image and label (z, y, x) of the case with this number."""


def volume(
    array: np.ndarray,
    spacing: Sequence[float] = (1, 1, 1),
    origin: Sequence[float] = (0, 0, 0),
    axes: str = "LPS",
) -> sitk.Image:
    """An array (z, y, x) of an LPS volume with spacing (x, y, z), stored along other axes."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([float(mm) for mm in spacing])
    image.SetOrigin([float(mm) for mm in origin])
    return sitk.DICOMOrient(image, axes)


def write_nifti(image: sitk.Image, path: Path, affine: np.ndarray | None = None) -> Path:
    """With nibabel, so that any affine can be written."""
    if affine is None:
        affine = np.eye(4)
        affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
        affine[:3, 3] = image.GetOrigin()
        affine = RAS_TO_LPS @ affine
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(sitk.GetArrayFromImage(image).T, affine), path)
    return path


def lits_arrays(shape: tuple[int, int, int] = (6, 8, 10)) -> tuple[np.ndarray, np.ndarray]:
    """A ramp in HU, a liver and a tumour in it; no two axes alike."""
    image = np.arange(np.prod(shape), dtype=np.int16).reshape(shape) - 200
    label = np.zeros(shape, np.uint8)
    label[1:4, 2:6, 3:8] = 1
    label[2, 3:5, 4] = 2
    return image, label


def lits_tree(root: Path, numbers: Sequence[int] = range(4), draw: Draw | None = None) -> Path:
    """Two batches, the second one compressed and with other axes."""
    for number in numbers:
        image, label = draw(number) if draw is not None else lits_arrays()
        batch, ending, axes = (
            ("Training Batch 1", ".nii", "LPS")
            if number < 2
            else ("Training Batch 2", ".nii.gz", "RAS")
        )
        for kind, array in (("volume", image), ("segmentation", label)):
            file = root / batch / f"{kind}-{number}{ending}"
            write_nifti(volume(array, (1, 1, 1), (5, -7, 100 + number), axes), file)
    return root


def atlas_arrays(shape: tuple[int, int, int] = (7, 9, 8)) -> tuple[np.ndarray, np.ndarray]:
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(shape) + 1
    label = np.zeros(shape, np.uint8)
    label[3:5, 2:4, 6] = 1
    return image, label


def atlas_tree(
    root: Path,
    subjects: Sequence[str] = ("r001s001", "r001s002", "r009s001"),
    draw: Draw | None = None,
) -> Path:
    """Training with masks, stored as RAS and LPS in turn, and one test image without."""
    for k, subject in enumerate(subjects):
        image, label = draw(k) if draw is not None else atlas_arrays()
        folder = root / "Training" / subject[:4].upper() / f"sub-{subject}" / "ses-1" / "anat"
        stem = f"sub-{subject}_ses-1_space-MNI152NLin2009aSym"
        axes = "RAS" if k % 2 == 0 else "LPS"
        write_nifti(volume(image, origin=(-98, -98, -72), axes=axes), folder / f"{stem}_T1w.nii.gz")
        write_nifti(
            volume(label.astype(np.float32), origin=(-98, -98, -72), axes="RAS"),
            folder / f"{stem}_label-L_desc-T1lesion_mask.nii.gz",
        )
    folder = root / "Testing" / "R002" / "sub-r002s001" / "ses-1" / "anat"
    file = folder / "sub-r002s001_ses-1_space-MNI152NLin2009aSym_T1w.nii.gz"
    write_nifti(volume(image, origin=(-98, -98, -72)), file)
    return root


def write_series(
    folder: Path,
    array: np.ndarray,
    spacing: Sequence[float] = (1, 1, 2),
    origin: Sequence[float] = (0, 0, 0),
    orientation: np.ndarray = LPS,
    *,
    description: str = "ax dyn pre",
    uid: str = "1.2.3",
    positions: Sequence[float] | None = None,
) -> Path:
    """One DICOM file per slice of an array (z, y, x), as TCIA names them.

    The columns of ``orientation`` are the directions of x, y and z; ``positions`` are the slices'
    distances in mm from the origin along the last one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    steps = np.arange(len(array)) * spacing[2] if positions is None else positions
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for k, (plane, step) in enumerate(zip(array, steps, strict=True)):
        image = sitk.GetImageFromArray(plane[None].astype(np.int16))
        image.SetSpacing([float(mm) for mm in spacing])
        place = np.array(origin) + orientation[:, 2] * step
        tags = {
            "0008|0060": "MR",
            "0008|103e": description,
            "0020|000d": "1.2",
            "0020|000e": uid,
            "0008|0018": f"{uid}.{k + 1}",
            "0020|0013": str(k + 1),
            "0020|0032": "\\".join(f"{mm:.6g}" for mm in place),
            ROW: "\\".join(f"{c:.6g}" for c in orientation[:, :2].T.ravel()),
            "0018|0050": str(spacing[2]),
        }
        for key, value in tags.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"1-{k + 1:03d}.dcm"))
        writer.Execute(image)
    return folder


def write_segmentation(
    path: Path,
    array: np.ndarray,
    segments: Sequence[tuple[str, int, int]],
    spacing: Sequence[float] = (1, 1, 2),
    origin: Sequence[float] = (0, 0, 0),
    *,
    space: str = "left-posterior-superior",
    extra: Mapping[str, str] | None = None,
) -> Path:
    """A file as 3D Slicer writes it: (z, y, x), or (z, y, x, layer) where segments overlap.

    ``segments`` are names, label values and layers. Spacing and origin are meant in LPS; in another
    space the directions and the origin are written in that space.
    """
    sign = [1, 1, 1] if space.startswith("left") else [-1, -1, 1]
    layered = array.ndim == 4
    vectors = [
        "("
        + ",".join(str(sign[axis] * spacing[axis] if axis == row else 0) for row in range(3))
        + ")"
        for axis in range(3)
    ]
    sizes = [*array.shape[3:], *array.shape[2::-1]]
    header = [
        "NRRD0004",
        "type: unsigned char",
        f"dimension: {array.ndim}",
        f"space: {space}",
        f"sizes: {' '.join(map(str, sizes))}",
        f"space directions: {' '.join(['none'] * layered + vectors)}",
        f"kinds: {' '.join(['list'] * layered + ['domain'] * 3)}",
        "encoding: gzip",
        f"space origin: ({','.join(str(s * o) for s, o in zip(sign, origin, strict=True))})",
    ]
    for k, (name, value, layer) in enumerate(segments):
        header += [
            f"Segment{k}_Name:={name}",
            f"Segment{k}_LabelValue:={value}",
            f"Segment{k}_Layer:={layer}",
        ]
    header += [f"{key}:={value}" for key, value in (extra or {}).items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    data = gzip.compress(np.ascontiguousarray(array, np.uint8).tobytes(), mtime=0)
    path.write_bytes("\n".join(header).encode() + b"\n\n" + data)
    return path


VESSELS_FIRST = (("Vessels", 1, 0), ("Dense", 2, 0))


def dbc_arrays(shape: tuple[int, int, int] = (6, 10, 12)) -> tuple[np.ndarray, np.ndarray]:
    """A ramp, and breast 1 with vessels 2 and tissue 3 in it."""
    image = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    label = np.zeros(shape, np.uint8)
    label[1:5, 2:8, 1:11] = 1
    label[2, 3, 2:5] = 2
    label[3, 4:7, 6:9] = 3
    return image, label


def write_masks(folder: Path, patient: str, label: np.ndarray, **place: object) -> Path:
    """Both masks of a patient from the labels of :func:`dbc_arrays`."""
    stem = folder / patient / f"Segmentation_{patient}"
    breast = (label > 0).astype(np.uint8)
    write_segmentation(Path(f"{stem}_Breast.seg.nrrd"), breast, [("Breast", 1, 0)], **place)  # type: ignore[arg-type]
    inner = np.where(label == 2, 1, np.where(label == 3, 2, 0)).astype(np.uint8)
    file = Path(f"{stem}_Dense_and_Vessels.seg.nrrd")
    return write_segmentation(file, inner, VESSELS_FIRST, **place)  # type: ignore[arg-type]


STUDY = "01-01-1990-NA-MRI BREAST BILATERAL WWO-97538"


def dbc_tree(
    root: Path,
    patients: Sequence[int] = (1, 2, 5),
    draw: Draw | None = None,
    spacing: Sequence[float] = (1, 1, 2),
) -> Path:
    """Images with descriptive names of folders, and masks beside them; one patient has none."""
    for number in (*patients, 900):
        image, label = draw(number) if draw is not None else dbc_arrays()
        patient = f"Breast_MRI_{number:03d}"
        study = root / "Duke-Breast-Cancer-MRI" / patient / STUDY
        for series, name in enumerate(("ax dyn pre", "ax dyn 1st pass", "ax t1 tse c")):
            folder = study / f"{series + 3}.000000-{name}-9387{series}"
            uid = f"1.2.{number}.{series}"
            write_series(folder, image + series, spacing, description=name, uid=uid)
        if number != 900:
            write_masks(root / "Segmentation_Masks_NRRD", patient, label, spacing=spacing)
    return root
