"""A small campaign, files as viewers write them for its cases, and what is read from them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from PIL import Image
from published_trees import LPS, write_series
from pydicom.sr.codedict import codes

from nnunet_sparse.campaign.annotation_files import find_annotations, read_annotation
from nnunet_sparse.campaign.campaign import Campaign, CampaignVolume, Round
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.errors import SparseError

SHAPE = (6, 8, 10)
SPACING = (1.0, 1.5, 3.0)
ORIGIN = (-10.0, 20.5, 3.25)
ASKED = (1, 4)
IGNORE = 3
TURN = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
LABELS = {"background": 0, "organ": 1, "big_lesion": 2}
MASK = np.zeros(SHAPE[1:], np.uint8)
MASK[2:5, 3:9] = 1
MASK[0, 0] = 2
BOTH_ASKED = np.zeros(SHAPE, np.uint8)
BOTH_ASKED[4] = MASK
BOTH_ASKED[3, 7, 9] = 2


def make_campaign(
    folder: Path,
    images: Mapping[str, sitk.Image] | None = None,
    labels: Mapping[str, Any] = LABELS,
    axis: int = 0,
) -> Campaign:
    """Slices 1 and 4 of every case are asked for; by default of the case ``a`` alone."""
    images = images or {"a": placed(np.zeros(SHAPE))}
    volumes = {
        case_id: CampaignVolume(image.GetSize()[2 - axis], (f"{case_id}.nii.gz",))
        for case_id, image in images.items()
    }
    dataset = {"channel_names": {"0": "CT"}, "labels": dict(labels)}
    asking = Round(Variant(rho=0.4, s=1.0, selector="random"), dict.fromkeys(images, ASKED))
    campaign = Campaign(folder, dataset, axis, "axial", volumes, (asking,))
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for case_id, image in images.items():
        sitk.WriteImage(image, str(campaign.image_files(case_id)[0]))
    return campaign


def placed(
    array: np.ndarray, axes: str = "LPS", turn: np.ndarray = LPS, origin: Sequence[float] = ORIGIN
) -> sitk.Image:
    """A volume (z, y, x) on the voxels of the image, stored along other axes."""
    image = sitk.GetImageFromArray(array.astype(np.float32) if array.dtype == float else array)
    image.SetSpacing(SPACING)
    image.SetOrigin([float(mm) for mm in origin])
    image.SetDirection(turn.ravel().tolist())
    return sitk.DICOMOrient(image, axes)


def write_dicom_series(
    folder: Path, turn: np.ndarray = LPS, origin: Sequence[float] = ORIGIN
) -> tuple[list[pydicom.Dataset], sitk.Image]:
    """A series, in the order of its files, and the volume that ITK makes of it."""
    array = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    write_series(folder, array, SPACING, origin, turn, uid="1.2.3")
    volume = sitk.ReadImage(
        sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)), sitk.sitkFloat32
    )
    datasets = [pydicom.dcmread(file) for file in sorted(folder.iterdir())]
    for dataset in datasets:
        dataset.FrameOfReferenceUID = "1.2.9"
    return datasets, volume


def write_dicom_segmentation(
    file: Path,
    series: Sequence[pydicom.Dataset],
    masks: np.ndarray,
    names: Sequence[str] = ("organ", "big_lesion"),
    kind: str = "BINARY",
) -> Path:
    """Masks (slice of the series, row, column, segment), or numbers of the segments."""
    described = [
        hd.seg.SegmentDescription(k + 1, name, codes.SCT.Organ, codes.SCT.Liver, "MANUAL")
        for k, name in enumerate(names)
    ]
    segmentation = hd.seg.Segmentation(
        series, masks, kind, described, hd.UID(), 1, hd.UID(), 1, "maker", "model", "1", "1"
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    segmentation.save_as(file)
    return file


def label_of(**slices: np.ndarray | int) -> np.ndarray:
    """Ignore but on some slices, those asked for being 0; s3=... are values of slice 3."""
    label = np.full(SHAPE, IGNORE)
    label[list(ASKED)] = 0
    for name, values in slices.items():
        label[int(name[1:])] = values
    return label


def annotated() -> np.ndarray:
    """No two axes alike."""
    label = label_of().astype(np.uint8)
    label[1, 2:5, 3:9] = 1
    label[4, 5, 1:3] = 2
    label[4, 0, 0] = IGNORE
    return label


def read(campaign: Campaign, case_id: str = "a") -> np.ndarray:
    found = find_annotations(campaign)
    assert not found.unknown
    assert not found.unusable
    if case_id in found.problems:
        raise SparseError(found.problems[case_id])
    return read_annotation(campaign, case_id, found.cases[case_id])


def check(campaign: Campaign, expected: np.ndarray) -> None:
    label = read(campaign)
    assert label.dtype.kind in "iu"
    np.testing.assert_array_equal(label, expected)


def refused(campaign: Campaign, message: str) -> None:
    with pytest.raises(SparseError, match=message):
        read(campaign)


def save(campaign: Campaign, name: str, image: sitk.Image) -> Path:
    file = campaign.folder / "labels" / name
    sitk.WriteImage(image, str(file))
    return file


def draw(campaign: Campaign, name: str, pixels: Any, mode: str | None = None, **kw: Any) -> Path:
    file = campaign.folder / "labels" / name
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(file, **kw)
    return file


def touch(campaign: Campaign, *names: str) -> list[Path]:
    files = [campaign.folder / "labels" / name for name in names]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.touch()
    return files
