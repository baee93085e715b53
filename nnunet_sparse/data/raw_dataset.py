"""An nnU-Net raw data set on disk, seen without modifying it."""

import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from nnunet_sparse.data.damaged_files import damaged_file_errors
from nnunet_sparse.data.dataset_name import dataset_names, parse_dataset_name
from nnunet_sparse.data.declared_labels import ignore_label_of, label_values
from nnunet_sparse.data.geometry import read_geometry
from nnunet_sparse.data.label_files import IMAGE_READER, TIFF_READER
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.file_names import check_ending, check_file_name, is_text
from nnunet_sparse.system.json_files import load_json
from nnunet_sparse.system.json_form import TEXT, Keys, NamesTo, check_form
from nnunet_sparse.system.wording import brief

SELECTION_FILE = "selection.json"
INTERPOLATION_FILE = "interpolation.json"
"""File of an interpolated data set: how it was made, with the hash of the network."""

_MOST_LABELS = 2**31
_NATURAL_ENDINGS = {".png", ".bmp", ".jpg", ".jpeg"}


@dataclass(frozen=True)
class Case:
    """Files of one volume: one image per channel (or one with all), and its label if it has one."""

    case_id: str
    images: tuple[Path, ...]
    label: Path | None


@dataclass(frozen=True)
class RawDataset:
    """Cases and ``dataset.json`` of a raw data set.

    Attributes
    ----------
    folder
        ``nnUNet_raw/DatasetXXX_Name``.
    dataset_json
        Content of ``dataset.json``.
    training
        Cases of ``imagesTr`` or of the mapping in ``dataset.json``, by their ID.
    test
        Cases of ``imagesTs``, by their ID.
    """

    folder: Path
    dataset_json: dict[str, Any] = field(repr=False)
    training: dict[str, Case] = field(repr=False)
    test: dict[str, Case] = field(repr=False)

    @classmethod
    def open(cls, folder: Path) -> "RawDataset":
        """Read ``dataset.json`` and list the cases; image files are not opened.

        Raises
        ------
        SparseError
            If ``dataset.json`` is missing or lacks what nnU-Net needs.
        """
        content = read_dataset_json(folder)
        ending = content["file_ending"]
        if "dataset" in content:
            training = _mapped_cases(folder, content["dataset"])
        else:
            training = _listed_cases(folder / "imagesTr", folder / "labelsTr", ending)
        test = _listed_cases(folder / "imagesTs", folder / "labelsTs", ending)
        return cls(folder, content, training, test)

    @property
    def name(self) -> str:
        """Full name, ``DatasetXXX_Name``."""
        return self.folder.name

    @property
    def suffix(self) -> str:
        """Name without ``DatasetXXX_``."""
        return parse_dataset_name(self.name)[1]

    @property
    def file_ending(self) -> str:
        """Ending of image and label files, with its dot."""
        return str(self.dataset_json["file_ending"])

    @property
    def num_channels(self) -> int:
        """Number of image channels."""
        return len(self.channel_names)

    @property
    def channel_names(self) -> dict[str, Any]:
        """Names of the image channels by their number."""
        key = "channel_names" if "channel_names" in self.dataset_json else "modality"
        names: dict[str, Any] = self.dataset_json[key]
        return names

    @property
    def has_ignore_label(self) -> bool:
        """Whether an ignore label is declared, as in sparse data sets."""
        return self.ignore_label is not None

    @property
    def ignore_label(self) -> int | None:
        """Value of voxels that are not annotated; None if none is declared."""
        return ignore_label_of(self.dataset_json["labels"])

    @property
    def label_values(self) -> list[int]:
        """Sorted declared label values, those of regions included, ``ignore`` left out."""
        return label_values(self.dataset_json["labels"])

    def case(self, case_id: str) -> Case:
        """Look a case up among the training and test cases."""
        return self.training[case_id] if case_id in self.training else self.test[case_id]

    def reader(self) -> str:
        """Class name of the reader that nnU-Net will use, of volumes.

        Raises
        ------
        SparseError
            For natural 2D images and unknown formats.
        """
        if self.any_reader == IMAGE_READER:
            raise SparseError(
                f"{self.name} holds 2D images ({self.file_ending}): there are no slices to choose; "
                "slice selection needs 3D volumes"
            )
        return self.any_reader

    @cached_property
    def any_reader(self) -> str:
        """Class name of the reader that nnU-Net will use, also of 2D images.

        Raises
        ------
        SparseError
            For unknown formats.
        """
        wanted = self.dataset_json.get("overwrite_image_reader_writer") or "None"
        ending = self.file_ending.lower()
        if wanted != "None":
            return str(wanted)
        if ending in _NATURAL_ENDINGS:
            return IMAGE_READER
        if ending in {".tif", ".tiff"}:
            return IMAGE_READER if ending == ".tif" and self._is_flat_tiff() else TIFF_READER
        from nnunetv2.imageio.nibabel_reader_writer import NibabelIO
        from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

        if ending in SimpleITKIO.supported_file_endings and not self._only_nibabel_reads():
            return "SimpleITKIO"
        if ending in NibabelIO.supported_file_endings:
            return "NibabelIO"
        raise SparseError(f"{self.name}: nnU-Net has no reader for files ending in {ending!r}")

    def _only_nibabel_reads(self) -> bool:
        """Whether SimpleITK refuses the first image (sheared directions) but nibabel does not."""
        import nibabel

        first = next(iter(self.training.values())).images[0]
        try:
            read_geometry(first, "SimpleITKIO")
        except SparseError:
            try:
                image: Any = nibabel.load(first)
            except damaged_file_errors():
                return False
            return len(image.shape) > 2  # a 2D image, which SimpleITK reads
        return False

    def _is_flat_tiff(self) -> bool:
        """Whether nnU-Net takes the first image for a 2D one, of gray values or colours."""
        import tifffile

        first = next(iter(self.training.values())).images[0]
        try:
            with tifffile.TiffFile(first) as file:
                shape = file.series[0].shape
        except damaged_file_errors():
            return False
        return len(shape) == 2 or (len(shape) == 3 and shape[-1] in {3, 4})


def dense_datasets(raw: Path) -> list[str]:
    """Names of the data sets that can serve as a base: labels, no ignore label, not ours.

    Raises
    ------
    SparseError
        If there is none, but one that cannot be read.
    """
    found: list[str] = []
    unreadable = None
    for name in dataset_names(raw):
        try:
            dataset = RawDataset.open(raw / name)
        except (SparseError, OSError) as error:
            unreadable = unreadable or SparseError(str(error))
            continue
        labelled = any(case.label is not None for case in dataset.training.values())
        ours = (dataset.folder / SELECTION_FILE).exists()
        if labelled and not ours and not dataset.has_ignore_label:
            found.append(name)
    if unreadable is not None and not found:
        raise unreadable
    return found


def read_dataset_json(folder: Path) -> dict[str, Any]:
    """Content of ``dataset.json`` in a folder.

    Raises
    ------
    SparseError
        If it is missing or lacks what nnU-Net needs.
    """
    file = folder / "dataset.json"
    try:
        content = load_json(file)
    except FileNotFoundError as error:
        raise SparseError(f"{file} does not exist; nnU-Net needs it in every data set") from error
    if not isinstance(content, dict):
        raise SparseError(f"{file} must map keys to values")
    channels = "modality" if "modality" in content else "channel_names"
    kinds = {"labels": dict, "file_ending": str, channels: dict}
    if missing := [key for key in kinds if key not in content]:
        raise SparseError(f"{file} lacks {', '.join(missing)}")
    for key, kind in kinds.items():
        if not isinstance(content[key], kind):
            raise SparseError(f"{file}: {key} must be a {kind.__name__}, got {brief(content[key])}")
    check_form(content, Keys({channels: NamesTo(TEXT)}), str(file))
    check_ending(content["file_ending"], f"{file}: file_ending")
    if not isinstance(content.get("dataset", {}), dict):
        raise SparseError(f"{file}: dataset must map case IDs to files")
    for name, value in content["labels"].items():
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(v, int) and 0 <= v < _MOST_LABELS for v in values):
            raise SparseError(f"{file}: label {name!r} must be a whole number, got {brief(value)}")
    return dict(content)


def _mapped_cases(folder: Path, mapping: dict[str, Any]) -> dict[str, Case]:
    """Cases of the ``dataset`` mapping, whose paths are relative to the data set's folder."""

    def resolve(text: str) -> Path:
        return Path(os.path.normpath(folder / os.path.expandvars(text)))

    cases = {}
    file = folder / "dataset.json"
    for case_id, files in sorted(mapping.items()):
        check_file_name(case_id, f"{file}: a case ID")
        try:
            images = tuple(resolve(image) for image in files["images"])
            label = resolve(files["label"]) if files.get("label") else None
            if not images or isinstance(files["images"], str):
                raise TypeError
        except (KeyError, TypeError, AttributeError) as error:
            raise SparseError(f"{file}: case {case_id!r} needs images and label") from error
        for path in (*images, *([] if label is None else [label])):
            if "\0" in str(path) or not is_text(str(path)):
                raise SparseError(f"{file}: case {case_id!r} names a file that cannot be called so")
        cases[case_id] = Case(case_id, images, label)
    return cases


def _listed_cases(images: Path, labels: Path, ending: str) -> dict[str, Case]:
    """Cases of a folder whose files are named ``CASE_0000.ending``."""
    if not images.is_dir():
        return {}
    pattern = re.compile(r"(.+)_(\d{4})" + re.escape(ending), re.DOTALL)
    channels: dict[str, list[Path]] = {}
    for path in sorted(images.iterdir()):
        if match := pattern.fullmatch(path.name):
            channels.setdefault(match[1], []).append(path)
    cases = {}
    for case_id, files in sorted(channels.items()):
        check_file_name(case_id, f"{images}: a case ID")
        label = labels / f"{case_id}{ending}"
        exists = label.exists() or label.is_symlink()  # a broken link is not a missing label
        cases[case_id] = Case(case_id, tuple(files), label if exists else None)
    return cases
