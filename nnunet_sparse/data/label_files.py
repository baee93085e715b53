"""Reading and writing label volumes without changing anything but the voxels.

nnU-Net's writers rebuild the header, through which directions and origins lose their last bits.
Here the header of a NIfTI file is kept as it is, so that a label has the exact geometry of the one
it was made from.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_sparse.data.claimed_size import check_claim
from nnunet_sparse.data.damaged_files import reading
from nnunet_sparse.data.flat_pictures import check_grey
from nnunet_sparse.data.nifti_files import open_nifti
from nnunet_sparse.data.volume_endings import NIFTI_ENDINGS
from nnunet_sparse.system.atomic import atomic_path
from nnunet_sparse.system.errors import SparseError

TIFF_READER = "Tiff3DIO"
IMAGE_READER = "NaturalImage2DIO"  # of PNG and the like
# a factor, an offset, their product and their sum are rounded
_ROUNDING = 4 * float(np.finfo(np.float32).eps)


def read_label(path: Path, reader: str, may_be_flat: bool = False) -> np.ndarray:
    """Read a label volume as nnU-Net's reader would orient it.

    Parameters
    ----------
    path
        Label file.
    reader
        Class name of nnU-Net's reader.
    may_be_flat
        Take a 2D label as well, as a volume of one slice.

    Returns
    -------
    np.ndarray, shape (z, y, x)
        Label values; integers in the file's own type, also where the file holds whole numbers as
        floats.

    Raises
    ------
    SparseError
        If the file is damaged, not a volume, or holds values that are not whole numbers.
    """
    check_claim(path)
    with reading(f"{path} cannot be read as a label"):
        if is_nifti(path):
            _check_scalar(path)
        label = _read(path, reader, may_be_flat)
    return to_integers(label, path)


def write_label_like(path: Path, label: np.ndarray, template: Path, reader: str) -> None:
    """Write a label volume with the exact geometry of another file.

    Parameters
    ----------
    path
        File to be written, in the template's format.
    label
        (z, y, x) integers, oriented as :func:`read_label` gives them.
    template
        Label file whose header is kept; its shape must be the label's.
    reader
        Class name of nnU-Net's reader.
    """
    if keeps_header(template, reader):
        import nibabel

        image = open_nifti(template)
        header = image.header.copy()
        header.set_data_dtype(label.dtype)
        header.set_slope_inter(1, 0)
        voxels = label.T.reshape(image.shape)
        nibabel.save(type(image)(voxels, None, header), path)
        return
    handler = find_reader(reader)()
    _, properties = handler.read_seg(str(template))
    handler.write_seg(label, str(path), properties)


def place_label(
    target: Path, label: np.ndarray, template: Path, reader: str, staging: Path
) -> None:
    """Write a label volume as :func:`write_label_like` does, complete or not at all.

    A file of the spacing, which TIFF needs, is there before the label.

    Parameters
    ----------
    target
        File to be written.
    label, template, reader
        See :func:`write_label_like`.
    staging
        Folder for what is not complete, on the target's file system.

    Raises
    ------
    SparseError
        If it cannot be written.
    """
    try:
        with atomic_path(target, staging) as temporary:
            write_label_like(temporary, label, template, reader)
            if reader == TIFF_READER:
                label_spacing_file(temporary).replace(label_spacing_file(target))
    except OSError as error:
        reason = error.strerror or error
        raise SparseError(f"cannot write {target.name} into {staging}: {reason}") from error


def to_integers(label: np.ndarray, path: Path) -> np.ndarray:
    """Convert whole numbers that are stored as floats; integers stay as they are.

    Values count as whole up to the rounding of a factor (``scl_slope``) and of 32-bit floats.

    Parameters
    ----------
    label
        Label values.
    path
        The file that they are from, for messages.

    Raises
    ------
    SparseError
        If a value is not a whole number.
    """
    if label.dtype.kind in "iu":
        return label
    if label.dtype.kind not in "bf":
        raise SparseError(f"{path} holds {label.dtype}, a label holds whole numbers")
    whole, wrong = whole_numbers(label)
    if wrong.any():
        raise SparseError(f"{path} holds the label value {label[wrong][0]!s}, not a whole number")
    label = whole
    lowest, highest = int(label.min(initial=0)), int(label.max(initial=0))
    dtype = np.result_type(np.min_scalar_type(lowest), np.min_scalar_type(highest))
    return label.astype(dtype)


def whole_numbers(label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round floats to whole numbers, and tell where that is more than what storing them costs.

    Parameters
    ----------
    label
        Numbers of any real type.

    Returns
    -------
    whole : np.ndarray, float32
        Rounded.
    wrong : np.ndarray of bool
        Where the number is not finite, or differs by more than the rounding of a factor and an
        offset in 32 bits, as applied to the largest number.
    """
    stored = label.astype(np.float32)
    finite = np.isfinite(stored)
    whole = np.rint(stored, where=finite, out=np.zeros_like(stored))
    largest = float(np.abs(whole).max(initial=1))
    return whole, ~finite | (np.abs(stored - whole) > _ROUNDING * largest)


def is_stored_whole(path: Path, reader: str) -> bool:
    """Whether nnU-Net, which cuts fractions off, reads a label as :func:`read_label` does."""
    if keeps_header(path, reader):
        image = open_nifti(path)
        if image.get_data_dtype().kind in "iu" and image.dataobj.slope == 1:
            return True
        stored = np.asanyarray(image.dataobj)
    else:
        stored = find_reader(reader)().read_seg(str(path))[0]
    if stored.dtype.kind in "iub":
        return True
    stored = stored.astype(np.float32, copy=False)
    return bool((stored == np.rint(stored)).all())


def label_dtype(dtype: np.dtype[Any], max_value: int) -> np.dtype[Any]:
    """Type for labels up to ``max_value``: the given one if it is large enough."""
    return dtype if np.iinfo(dtype).max >= max_value else np.min_scalar_type(max_value)


def check_complete(path: Path) -> None:
    """Refuse a NIfTI file that is shorter than its header promises, or no numbers of voxels.

    Reads the header and the last bytes only: a gzip file ends with the length of its content.

    Raises
    ------
    SparseError
        If the file is truncated or not NIfTI, or holds colours, complex numbers or vectors.
    """
    check_claim(path)
    with reading(f"{path} is damaged or not NIfTI"):
        image = open_nifti(path)
        _check_scalar(path)
        expected = int(image.dataobj.offset) + image.header.get_data_dtype().itemsize * int(
            np.prod(image.shape, dtype=np.int64)
        )
        if path.suffix.lower() == ".gz":
            with path.open("rb") as file:
                file.seek(-4, 2)
                length = int.from_bytes(file.read(4), "little")
            if length != expected % 2**32:  # truncated, or compressed in several members
                np.asanyarray(image.dataobj)
        elif path.stat().st_size < expected:
            raise SparseError(f"{path} is truncated: {path.stat().st_size} of {expected} bytes")


def _check_scalar(path: Path) -> None:
    """Refuse NIfTI files of which a voxel is not one real number."""
    image = open_nifti(path)
    kind, shape = image.get_data_dtype().kind, image.shape
    if (what := {"c": "complex numbers", "V": "colours"}.get(kind)) is not None:
        raise SparseError(f"{path} holds {what}, not one number per voxel")
    if any(n != 1 for n in shape[4:]):
        raise SparseError(
            f"{path} has shape {shape}, not that of one label or image: it holds several values "
            "per voxel"
        )


def is_nifti(path: Path) -> bool:
    """Whether the file's name has an ending of NIfTI, in small or capital letters."""
    return path.name.lower().endswith(NIFTI_ENDINGS)


def spacing_file(image: Path) -> Path:
    """File in which nnU-Net keeps the spacing of a TIFF image, which cannot hold it."""
    return image.with_name(re.sub(r"(_\d{4})?\.[^.]+$", ".json", image.name))


def label_spacing_file(label: Path) -> Path:
    """File in which nnU-Net keeps the spacing of a TIFF label; its name has no channel."""
    return label.with_suffix(".json")


def find_reader(name: str) -> Any:
    """nnU-Net's reader class of that name."""
    from nnunetv2.imageio.reader_writer_registry import recursive_find_reader_writer_by_name

    return recursive_find_reader_writer_by_name(name)


def keeps_header(path: Path, reader: str) -> bool:
    """Whether the file is read and written without nnU-Net's reader, which changes headers."""
    return is_nifti(path) and reader in {"SimpleITKIO", "NibabelIO"}


def _read(path: Path, reader: str, may_be_flat: bool) -> np.ndarray:
    if keeps_header(path, reader):
        voxels = np.asanyarray(open_nifti(path).dataobj)
        if voxels.ndim == 2 and may_be_flat:
            voxels = voxels[..., np.newaxis]
        if voxels.ndim < 3 or any(n != 1 for n in voxels.shape[3:]):
            raise SparseError(f"{path} has shape {voxels.shape}, not that of one label volume")
        return np.asarray(voxels.reshape(voxels.shape[:3]).T)
    if reader == IMAGE_READER:
        check_grey(path)
    from nnunet_sparse.data.itk_files import check_whole

    check_whole(path)
    voxels = find_reader(reader)().read_seg(str(path))[0]
    if len(voxels) != 1:
        raise SparseError(f"{path} holds {len(voxels)} volumes, a label is one")
    return np.asarray(voxels[0])
