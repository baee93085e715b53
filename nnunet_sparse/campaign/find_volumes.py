"""Finding the volumes that a campaign is about."""

import os
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_sparse.campaign.campaign import CAMPAIGN_FILE
from nnunet_sparse.campaign.dicom_volumes import LeftOut, Remarks, dicom_volumes, summary
from nnunet_sparse.campaign.volume_list import LIST_ENDINGS, read_list
from nnunet_sparse.data.claimed_size import check_text
from nnunet_sparse.data.dicom_header import (
    HIDDEN_BY_MACOS,
    dicom_files,
    is_dicom_file,
)
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.volume_endings import PLACED_ENDINGS, VOLUME_ENDINGS, ending_of, is_tiff
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.walking import walk
from nnunet_sparse.system.wording import first_of

# segmentations of 3D Slicer
_NUM_NAMED = 5
_NO_IMAGES = (".seg.nrrd",)
_CHANNEL = re.compile(r"(.+)_(\d{4})")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class SourceVolume:
    """Where a volume comes from: one image file per channel, or a DICOM series.

    A series is named by its folder, or, where that holds several, by the first of its files.
    """

    case_id: str
    channels: tuple[Path, ...]


def find_volumes(
    sources: Sequence[Path], num_channels: int, exclude: Collection[str] = ()
) -> list[SourceVolume]:
    """Volumes of files, folders and lists.

    A folder is searched with all folders below it, links to folders followed and campaigns left
    out. Image files are NIfTI, NRRD, MetaImage and GIPL; where their names are nnU-Net's
    (``CASE_0000``, ``CASE_0001``, ...) those of a case are its channels. A DICOM series is one
    volume; what is DICOM and no volume is left out, which is told, and so are image files in the
    folder of a series. A text file lists a path per line; a table (``.csv``) has the column
    ``image`` and may have the column ``case``. Paths in them are relative to the file. Case IDs are
    the names of files and folders, with number and description of the series where a folder holds
    several; other characters than letters, digits, ``.``, ``_`` and ``-`` become ``_``.

    Parameters
    ----------
    sources
        What the user names.
    num_channels
        Number of channels that each volume must have.
    exclude
        IDs of cases to leave out.

    Returns
    -------
    list of SourceVolume
        Sorted by case ID.

    Raises
    ------
    SparseError
        If nothing is found, a source is missing, a DICOM file is damaged, series are no complete
        volumes (all of them are named), two volumes would have the same case ID, channels are
        missing, or there is no case that is to be left out.
    """
    named: list[tuple[str, Path]] = []
    remarks = Remarks()
    for source in sources:
        named += _volumes_of(source, remarks)
    if not named:
        remarks.check_complete({})
        raise SparseError(
            f"no volumes in {', '.join(map(str, sources))}: "
            + (
                f"left out, {summary(remarks.left_out)}"
                if remarks.left_out
                else f"neither files ending in {', '.join(PLACED_ENDINGS)} nor folders of DICOM "
                "series"
            )
        )
    for _, path in named:
        check_text(path)
    volumes = without(_grouped(named, num_channels), exclude)
    remarks.check_complete({volume.case_id: volume.channels for volume in volumes})
    remarks.tell()
    return volumes


def without(volumes: Sequence[SourceVolume], exclude: Collection[str]) -> list[SourceVolume]:
    """Leave out cases.

    Raises
    ------
    SparseError
        If there is no such case, or none is left.
    """
    unknown = sorted(set(exclude) - {volume.case_id for volume in volumes})
    if unknown:
        raise SparseError(
            f"--exclude names {', '.join(unknown)}, there is no such case; cases are called "
            f"{first_of([volume.case_id for volume in volumes], _NUM_NAMED)}"
        )
    left = [volume for volume in volumes if volume.case_id not in exclude]
    if not left:
        raise SparseError("--exclude leaves no volume")
    return left


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
            if not is_image(file) and not is_tiff(file):
                raise SparseError(
                    f"{file} is no volume: campaigns read {', '.join(VOLUME_ENDINGS)}"
                )
    return sorted(found, key=lambda volume: volume.case_id)


def is_image(path: Path) -> bool:
    """Whether a file's name is that of an image that can be read."""
    name = path.name.lower()
    return name.endswith(PLACED_ENDINGS) and not name.endswith(_NO_IMAGES) and name[0] != "."


def _volumes_of(source: Path, remarks: Remarks) -> list[tuple[str, Path]]:
    """Names and files, or DICOM folders, of a source."""
    if source.is_dir():
        return _in_folder(source, remarks)
    if not source.exists():
        raise SparseError(f"{source} does not exist")
    if is_image(source):
        return [(_stem(source), source)]
    if source.suffix.lower() in LIST_ENDINGS:
        return _listed(source, remarks)
    if is_dicom_file(source):
        return _of_dicom(source, f"{source} is no volume", remarks)
    raise SparseError(
        f"{source} is no volume: expected a file ending in {', '.join(PLACED_ENDINGS)}, a folder, "
        f"or a list of them ({', '.join(LIST_ENDINGS)})"
    )


def _in_folder(folder: Path, remarks: Remarks) -> list[tuple[str, Path]]:
    found = []
    seen = {os.path.realpath(folder)}
    for here, subfolders, files in walk(folder, follow_links=True):
        links = {s for s in subfolders if (here / s).is_symlink()}
        # what lies here goes by its own name, not by that of a link
        ordered = (*sorted({*subfolders} - links), *sorted(links))
        subfolders[:] = [s for s in ordered if s[0] != "." and _is_new(here / s, seen)]
        if here != folder and (here / CAMPAIGN_FILE).is_file():  # has links to the volumes
            subfolders.clear()
            continue
        name = "_".join(here.relative_to(folder).parts) or here.resolve().name
        found += _in_one_folder(here, sorted(files), name, remarks)
    return found


def _in_one_folder(
    here: Path, files: Sequence[str], name: str, remarks: Remarks
) -> list[tuple[str, Path]]:
    """Volumes of a folder itself: its DICOM series, which are called after it, or image files."""
    images = [here / file for file in files if is_image(here / file)]
    dicom = dicom_files(here, [f for f in files if not is_image(here / f)])
    others = []
    if hidden := tuple(here / file for file in files if file.startswith(HIDDEN_BY_MACOS)):
        others.append(LeftOut(hidden, "hidden file of macOS"))
    try:
        volumes, left_out = dicom_volumes(here, dicom)
    except SparseError as error:
        remarks.damaged.append(str(error))
        return []
    if volumes and images:
        others.append(LeftOut(tuple(images), "image file in the folder of a series"))
    remarks.add(volumes, [*others, *left_out])
    if not volumes:
        return [(_stem(image), image) for image in images]
    return [(_joined(name, volume.suffix), volume.source) for volume in volumes]


def _of_dicom(path: Path, problem: str, remarks: Remarks) -> list[tuple[str, Path]]:
    """Series of a folder itself, or of a file; ``problem`` begins the message if there is none."""
    folder = path if path.is_dir() else path.parent
    volumes, left_out = dicom_volumes(folder, dicom_files(folder))
    if path.is_dir():
        found, why = volumes, left_out
    else:
        found = [volume for volume in volumes if path in volume.files]
        why = [one for one in left_out if path in one.files]
    if not found:
        raise SparseError(f"{problem}: {summary(why)}" if why else problem)
    remarks.problems.update({one.source: one.problem for one in found if one.problem})
    name = folder.name or folder.resolve().name
    return [(_joined(name, volume.suffix), volume.source) for volume in found]


def _joined(name: str, suffix: str) -> str:
    return f"{name}_{suffix}" if suffix else name


def _is_new(folder: Path, seen: set[str]) -> bool:
    """Whether a folder was not seen yet, under any name: links may lead back or in a circle."""
    path = os.path.realpath(folder)
    is_new = path not in seen
    seen.add(path)
    return is_new


def _listed(file: Path, remarks: Remarks) -> list[tuple[str, Path]]:
    found = []
    for case_id, text, path in read_list(file):
        if is_image(path) and not path.is_dir():
            volumes = [(_stem(path), path)]
        elif path.is_dir():
            problem = f"{file} lists the folder {text!r}, which holds no DICOM series"
            volumes = _of_dicom(path, problem, remarks)
        elif is_dicom_file(path):
            volumes = _of_dicom(path, f"{file} lists {text!r}, which is no volume", remarks)
        else:
            raise SparseError(f"{file} lists {text!r}, which is no volume")
        if case_id and len(volumes) > 1:
            raise SparseError(
                f"{file} names the folder {text!r} {case_id}, which holds {len(volumes)} series; "
                "list a file of each"
            )
        found += [(case_id or name, volume) for name, volume in volumes]
    return found


def _grouped(named: Sequence[tuple[str, Path]], num_channels: int) -> list[SourceVolume]:
    """Volumes with their channels; files are channels if all their names are numbered from 0."""
    channels: dict[str, dict[int, Path]] = {}
    for name, path in named:
        match = _CHANNEL.fullmatch(name) if is_image(path) else None
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
    return path.name[: -len(ending_of(path))]


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name).strip("._")
