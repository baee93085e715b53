"""Finding the volumes that a campaign is about."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from nnunet_sparse.campaign.campaign import CAMPAIGN_FILE
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.spreadsheet import decoded, read_bytes, read_spreadsheet

_NIFTI = (".nii.gz", ".nii")
_OTHERS = (".nrrd", ".nhdr", ".mha", ".mhd", ".gipl", ".gipl.gz")
_ENDINGS = (*_NIFTI, *_OTHERS)
TIFF_ENDINGS = (".tif", ".tiff")
"""Endings of images of data sets only, in which nnU-Net keeps their spacing beside them."""
# segmentations of 3D Slicer
_NO_IMAGES = (".seg.nrrd",)
_CHANNEL = re.compile(r"(.+)_(\d{4})")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class SourceVolume:
    """Where a volume comes from: one image file per channel, or the folder of a DICOM series."""

    case_id: str
    channels: tuple[Path, ...]


def find_volumes(sources: Sequence[Path], num_channels: int) -> list[SourceVolume]:
    """Volumes of files, folders and lists.

    A folder is searched with all folders below it, links to folders followed and campaigns left
    out. Image files are NIfTI, NRRD, MetaImage and GIPL; where their names are nnU-Net's
    (``CASE_0000``, ``CASE_0001``, ...) those of a case are its channels. A folder with files of
    a DICOM series is one volume. A text file lists a path per line; a table (``.csv``) has the
    column ``image`` and may have the column ``case``. Paths in them are relative to the file.
    Case IDs are the names of files and folders; other characters than letters, digits, ``.``,
    ``_`` and ``-`` become ``_``.

    Parameters
    ----------
    sources
        What the user names.
    num_channels
        Number of channels that each volume must have.

    Returns
    -------
    list of SourceVolume
        Sorted by case ID.

    Raises
    ------
    SparseError
        If nothing is found, a source is missing, two volumes would have the same case ID, or
        channels are missing.
    """
    named: list[tuple[str, Path]] = []
    for source in sources:
        named += _volumes_of(source)
    if not named:
        raise SparseError(
            f"no volumes in {', '.join(map(str, sources))}: neither files ending in "
            f"{', '.join(_ENDINGS)} nor folders of DICOM series"
        )
    return _grouped(named, num_channels)


def volumes_of_dataset(dataset: RawDataset) -> list[SourceVolume]:
    """Training volumes of an nnU-Net data set; its labels are not looked at.

    Raises
    ------
    SparseError
        If there are none, a channel is missing, or their format is not read.
    """
    if not dataset.training:
        raise SparseError(
            f"{dataset.name} has no training images: no CASE_0000{dataset.file_ending} in "
            f"{dataset.folder / 'imagesTr'}"
        )
    found = [SourceVolume(_safe(c.case_id), c.images) for c in dataset.training.values()]
    _check_ids([(volume.case_id, volume.channels[0]) for volume in found])
    for volume in found:
        if len(volume.channels) != dataset.num_channels:
            raise SparseError(
                f"case {volume.case_id} of {dataset.name} has {len(volume.channels)} image files, "
                f"dataset.json declares {dataset.num_channels} channels"
            )
        for file in volume.channels:
            if not is_image(file) and not file.name.lower().endswith(TIFF_ENDINGS):
                raise SparseError(
                    f"{file} is no volume: campaigns read {', '.join((*_ENDINGS, *TIFF_ENDINGS))}"
                )
    return sorted(found, key=lambda volume: volume.case_id)


def is_image(path: Path) -> bool:
    """Whether a file's name is that of an image that can be read."""
    name = path.name.lower()
    return name.endswith(_ENDINGS) and not name.endswith(_NO_IMAGES) and name[0] != "."


def is_dicom_folder(folder: Path) -> bool:
    """Whether a folder itself holds files of a DICOM series, whatever their names end in."""
    files = [p for p in sorted(folder.iterdir()) if p.is_file() and p.name[0] != "."]
    if any(path.suffix.lower() == ".dcm" for path in files):
        return True
    if not files or any(is_image(path) for path in files):
        return False
    return bool(sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder)))


def _volumes_of(source: Path) -> list[tuple[str, Path]]:
    """Names and files, or DICOM folders, of a source."""
    if source.is_dir():
        return _in_folder(source)
    if not source.exists():
        raise SparseError(f"{source} does not exist")
    if is_image(source):
        return [(_stem(source), source)]
    if source.suffix.lower() == ".csv":
        return _of_table(source)
    if source.suffix.lower() == ".txt":
        lines = decoded(read_bytes(source), source).splitlines()
        paths = [line.strip() for line in lines]
        return _listed(source, [("", p) for p in paths if p and p[0] != "#"])
    raise SparseError(
        f"{source} is no volume: expected a file ending in {', '.join(_ENDINGS)}, a folder, or a "
        "list of them (.txt, .csv)"
    )


def _in_folder(folder: Path) -> list[tuple[str, Path]]:
    found = []
    seen = {os.path.realpath(folder)}
    for name, subfolders, files in os.walk(folder, followlinks=True):
        here = Path(name)
        links = {s for s in subfolders if (here / s).is_symlink()}
        # what lies here goes by its own name, not by that of a link
        ordered = (*sorted({*subfolders} - links), *sorted(links))
        subfolders[:] = [s for s in ordered if s[0] != "." and _is_new(here / s, seen)]
        if here != folder and (here / CAMPAIGN_FILE).is_file():  # has links to the volumes
            subfolders.clear()
            continue
        if is_dicom_folder(here):
            relative = here.relative_to(folder)
            found.append(("_".join(relative.parts) or here.resolve().name, here))
            continue
        found += [
            (_stem(here / file), here / file) for file in sorted(files) if is_image(here / file)
        ]
    return found


def _is_new(folder: Path, seen: set[str]) -> bool:
    """Whether a folder was not seen yet, under any name: links may lead back or in a circle."""
    path = os.path.realpath(folder)
    is_new = path not in seen
    seen.add(path)
    return is_new


def _of_table(file: Path) -> list[tuple[str, Path]]:
    table = read_spreadsheet(file, "image", ("image", "case"))
    if not table.rows or "image" not in table.names:
        raise SparseError(f"{file} must be a table with the column image, and may have case")
    rows = [row for _, row in table.rows]
    return _listed(file, [(row.get("case", "").strip(), row["image"].strip()) for row in rows])


def _listed(file: Path, entries: Iterable[tuple[str, str]]) -> list[tuple[str, Path]]:
    found = []
    for case_id, text in entries:
        path = file.parent / _expanded(text)
        if not text or not path.exists():
            raise SparseError(f"{file} lists {text!r}, which does not exist")
        if path.is_dir() and not is_dicom_folder(path):
            raise SparseError(f"{file} lists the folder {text!r}, which holds no DICOM series")
        if not path.is_dir() and not is_image(path):
            raise SparseError(f"{file} lists {text!r}, which is no volume")
        found.append((case_id or (path.name if path.is_dir() else _stem(path)), path))
    return found


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # ~ and the name of nobody
        return Path(text)


def _grouped(named: Sequence[tuple[str, Path]], num_channels: int) -> list[SourceVolume]:
    """Volumes with their channels; files are channels if all their names are numbered from 0."""
    channels: dict[str, dict[int, Path]] = {}
    for name, path in named:
        match = None if path.is_dir() else _CHANNEL.fullmatch(name)
        if match:
            channels.setdefault(f"{path.parent}/{match[1]}", {})[int(match[2])] = path
    counts = {len(numbers) for numbers in channels.values()}
    complete = all(sorted(numbers) == list(range(len(numbers))) for numbers in channels.values())
    in_files = sum(map(len, channels.values()))
    if channels and in_files == len(named) and complete and len(counts) == 1:
        (found,) = counts
        if found != num_channels:
            example = ", ".join(p.name for p in list(next(iter(channels.values())).values())[:3])
            raise SparseError(
                f"{example}: by their names each case has {found} channels, --channels names "
                f"{num_channels}"
            )
        groups = [(Path(key).name, list(numbers.values())) for key, numbers in channels.items()]
    elif num_channels > 1:
        raise SparseError(
            f"volumes of {num_channels} channels must be called CASE_0000 to "
            f"CASE_{num_channels - 1:04d}; {named[0][1].name} is not, or some are missing"
        )
    else:
        groups = [(name, [path]) for name, path in named]
    volumes = [SourceVolume(_safe(name), tuple(files)) for name, files in groups]
    _check_ids([(volume.case_id, volume.channels[0]) for volume in volumes])
    return sorted(volumes, key=lambda volume: volume.case_id)


def _check_ids(named: Iterable[tuple[str, Path]]) -> None:
    """Refuse two volumes with the same case ID, also if only on some file systems."""
    seen: dict[str, Path] = {}
    for case_id, path in named:
        if not case_id:
            raise SparseError(f"{path}: its name holds nothing that a case ID can be made of")
        if case_id.lower() in seen:
            other = seen[case_id.lower()]
            raise SparseError(
                f"{other} and {path} would both be case {case_id}; rename one, or give the cases "
                "names in a table with the columns case and image"
            )
        seen[case_id.lower()] = path


def _stem(path: Path) -> str:
    ending = next(
        e for e in sorted(_ENDINGS, key=len, reverse=True) if path.name.lower().endswith(e)
    )
    return path.name[: -len(ending)]


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name).strip("._")
