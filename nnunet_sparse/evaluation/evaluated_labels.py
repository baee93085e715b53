"""Which labels or regions are evaluated, and how the files that hold them are read."""

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_sparse.data.damaged_files import first_line
from nnunet_sparse.data.declared_labels import declared_labels
from nnunet_sparse.data.label_files import IMAGE_READER, find_reader
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.volume_endings import IMAGE_IO, VOLUME_ENDINGS, ending_of
from nnunet_sparse.evaluation.metrics import Label
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.file_names import check_ending
from nnunet_sparse.system.json_files import load_json
from nnunet_sparse.system.json_form import OBJECT, TEXT, Keys, check_form
from nnunet_sparse.system.wording import brief

_MOST = 2**31 - 1
_ITK = "SimpleITKIO"
_FORM = Keys({"file_ending": TEXT, "labels": OBJECT})


@dataclass(frozen=True)
class EvaluationLabels:
    """What a ``dataset.json``, or a user's list of labels, says about segmentation files.

    Attributes
    ----------
    labels
        Labels or regions to evaluate, as nnU-Net orders them.
    ignore_label
        Reference voxels of this value are left out; None if there is none.
    names
        Names of the labels that have one.
    declared
        All values that a prediction may hold; None if unknown (no ``dataset.json``).
    file_ending
        Ending of the segmentation files, with its dot.
    dataset_json
        Content of ``dataset.json``, empty without one.
    """

    labels: tuple[Label, ...]
    ignore_label: int | None
    names: dict[Label, str]
    declared: frozenset[int] | None
    file_ending: str
    dataset_json: dict[str, Any] = field(default_factory=dict, repr=False)

    def reader(self, example: Path) -> str:
        """Class name of the reader that nnU-Net's own evaluation chooses.

        Raises
        ------
        SparseError
            If no reader of nnU-Net can read the example, or only one for 2D images.
        """
        from nnunetv2.imageio.reader_writer_registry import (
            determine_reader_writer_from_dataset_json,
        )

        content = {**self.dataset_json, "file_ending": self.file_ending}
        try:
            # nnU-Net prints a traceback for each reader that fails
            with contextlib.redirect_stderr(io.StringIO()):
                name = determine_reader_writer_from_dataset_json(
                    content, str(example), verbose=False
                ).__name__
        except RuntimeError as error:
            # which nnU-Net does not list, and ITK reads all the same
            listed = find_reader(_ITK).supported_file_endings
            if self.file_ending in IMAGE_IO and self.file_ending not in listed:
                return _ITK
            raise SparseError(
                f"{example} cannot be read by nnU-Net: damaged or no image"
            ) from error
        if name == IMAGE_READER:
            raise SparseError(f"{example} is a 2D image; volumes are evaluated (distances in mm)")
        return str(name)


def find_dataset_json(gt_folder: Path, pred_folder: Path) -> Path | None:
    """``dataset.json`` beside the ground truth, else in the predictions, else None."""
    candidates = (gt_folder.absolute().parent, pred_folder)
    return next((f / "dataset.json" for f in candidates if (f / "dataset.json").is_file()), None)


def find_images(gt_folder: Path) -> dict[str, Path]:
    """First image of every case, by its ID, if the ground truth is part of a raw data set."""
    folder = gt_folder.absolute().parent
    try:
        dataset = RawDataset.open(folder)
    except SparseError:
        return {}
    cases = dataset.test if gt_folder.absolute().name == "labelsTs" else dataset.training
    return {c: case.images[0] for c, case in cases.items() if case.images[0].is_file()}


def labels_from_dataset_json(
    file: Path, labels: Sequence[int] | None = None, ignore_label: int | None = None
) -> EvaluationLabels:
    """Take the labels from ``dataset.json``, by nnU-Net's rules.

    Parameters
    ----------
    file
        ``dataset.json``.
    labels
        Evaluate only these labels, also where the file declares regions.
    ignore_label
        Takes the place of the file's ignore label.

    Raises
    ------
    SparseError
        If the file is not what nnU-Net needs, or does not declare one of ``labels``.
    """
    try:
        content = load_json(file)
        check_form(content, _FORM, str(file))
        ending = content["file_ending"]
        check_ending(ending, f"{file}: file_ending")
        found = declared_labels(content, may_have_gaps=True)
        declared = frozenset(found.values)
        regions = [_as_label(content["labels"][name]) for name in found.foreground]
        chosen = regions if found.has_regions else [value for value in found.values if value]
        named = {_as_label(v): str(name) for name, v in content["labels"].items()}
    except OSError as error:
        raise SparseError(f"{file}: {error.strerror}") from error
    except SparseError:
        raise
    except (ValueError, TypeError, AttributeError) as error:
        raise SparseError(f"{file} is no dataset.json of nnU-Net: {first_line(error)}") from error
    ignore = found.ignore if ignore_label is None else ignore_label
    evaluated = tuple(chosen) if labels is None else _checked(labels, ignore)
    unknown = set() if labels is None else set(labels) - declared
    if unknown:
        raise SparseError(f"{file} declares the labels {sorted(declared)}, not {sorted(unknown)}")
    if ignore in {value for label in evaluated for value in _values(label)}:
        raise SparseError(f"{ignore} cannot be the ignore label, {file} declares it as a label")
    if not evaluated:
        raise SparseError(f"{file} declares no label but the background")
    return EvaluationLabels(evaluated, ignore, named, declared, ending, content)


def labels_from_list(
    labels: Sequence[int], ignore_label: int | None, gt_folder: Path
) -> EvaluationLabels:
    """Take the labels from a list, the file ending from the files of the ground truth.

    Raises
    ------
    SparseError
        If there are no files that nnU-Net reads, or files of several kinds.
    """
    chosen = _checked(labels, ignore_label)
    files = [path for path in gt_folder.iterdir() if path.is_file()]
    endings = sorted({e for f in files if (e := ending_of(f)) and f.name.endswith(e)})
    if len(endings) != 1:
        found = f"files of several kinds: {', '.join(endings)}" if endings else "no segmentations"
        raise SparseError(f"{gt_folder} holds {found} (read are {', '.join(VOLUME_ENDINGS)})")
    return EvaluationLabels(chosen, ignore_label, {}, None, endings[0], {})


def _values(label: Label) -> tuple[int, ...]:
    return label if isinstance(label, tuple) else (label,)


def _as_label(value: Any) -> Label:
    return tuple(map(int, value)) if isinstance(value, list | tuple) else int(value)


def _checked(labels: Sequence[int], ignore_label: int | None) -> tuple[int, ...]:
    if not labels or min(labels) < 0 or max(labels) > _MOST:
        raise SparseError(f"labels must be whole numbers from 0 to {_MOST}, got {brief([*labels])}")
    if ignore_label in labels:
        raise SparseError(f"{ignore_label} is the ignore label, which cannot be evaluated")
    return tuple(sorted(set(labels)))
