import sys
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from campaign.annotation_fixtures import (
    BOTH_ASKED,
    MASK,
    SHAPE,
    TURN,
    check,
    label_of,
    make_campaign,
    refused,
    touch,
    write_dicom_segmentation,
    write_dicom_series,
)
from published_trees import LPS

from nnunet_sparse.campaign.campaign import Campaign

MIRRORED = TURN * [1, 1, -1]  # slices are stored from head to foot


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
@pytest.mark.parametrize("turn", [LPS, MIRRORED], ids=["along", "against"])
def test_dicom_segmentation(tmp_path: Path, kind: str, turn: np.ndarray) -> None:
    series, image = write_dicom_series(tmp_path / "series", turn)
    campaign = make_campaign(tmp_path / "c", {"a": image})
    against = turn is MIRRORED
    numbers = BOTH_ASKED[::-1] if against else BOTH_ASKED
    write_dicom_segmentation(campaign.folder / "labels" / "a.dcm", series, numbers, kind=kind)
    voxels = sitk.GetArrayFromImage(image)
    assert (voxels[0, 0, 0] == 0) != against  # the first file is the last slice
    check(campaign, label_of(s4=MASK, s3=BOTH_ASKED[3]))


def test_planes_that_are_left_out_are_empty(tmp_path: Path) -> None:
    """Distances of what is stored, slices 0, 1 and 5, are no slice spacing."""
    series, image = write_dicom_series(tmp_path / "series")
    campaign = make_campaign(tmp_path / "c", {"a": image})
    numbers = np.zeros(SHAPE, np.uint8)
    numbers[[0, 1, 5]] = MASK
    write_dicom_segmentation(campaign.folder / "labels" / "a" / "x.dcm", series, numbers)
    check(campaign, label_of(s0=MASK, s1=MASK, s5=MASK))


@pytest.fixture
def dicom(tmp_path: Path) -> tuple[Campaign, list[Any]]:
    series, image = write_dicom_series(tmp_path / "series")
    return make_campaign(tmp_path / "c", {"a": image}), series


def test_numbers_of_generic_names_are_labels(dicom: tuple[Campaign, list[Any]]) -> None:
    campaign, series = dicom
    file = campaign.folder / "labels" / "a.dcm"
    write_dicom_segmentation(file, series, BOTH_ASKED, ["Segment 1", "segment_2"])
    check(campaign, label_of(s4=MASK, s3=BOTH_ASKED[3]))


@pytest.mark.parametrize(
    "names",
    [["organ", "Segment 1"], ["organ", "vessel"]],
)
def test_unknown_names_of_dicom_segments_are_refused(
    dicom: tuple[Campaign, list[Any]], names: list[str]
) -> None:
    campaign, series = dicom
    write_dicom_segmentation(campaign.folder / "labels" / "a.dcm", series, BOTH_ASKED, names)
    refused(campaign, f"a.dcm: segment '{names[-1]}' is none of the labels")


def test_empty_dicom_segments_may_be_called_anything(dicom: tuple[Campaign, list[Any]]) -> None:
    campaign, series = dicom
    names = ["organ", "big lesion", "Segment 3", "vessel"]
    write_dicom_segmentation(campaign.folder / "labels" / "a.dcm", series, BOTH_ASKED, names)
    check(campaign, label_of(s4=MASK, s3=BOTH_ASKED[3]))


def test_names_come_before_numbers(dicom: tuple[Campaign, list[Any]]) -> None:
    campaign, series = dicom
    file = campaign.folder / "labels" / "a.dcm"
    write_dicom_segmentation(file, series, BOTH_ASKED, ["big lesion", "Organ"])
    check(campaign, label_of(s4=np.array([0, 2, 1])[MASK], s3=np.array([0, 2, 1])[BOTH_ASKED[3]]))


def test_a_label_may_be_called_by_another_number(tmp_path: Path) -> None:
    series, image = write_dicom_series(tmp_path / "series")
    labels = {"background": 0, "2": 1, "1": 2}
    campaign = make_campaign(tmp_path / "c", {"a": image}, labels)
    write_dicom_segmentation(campaign.folder / "labels" / "a.dcm", series, BOTH_ASKED, ["1", "2"])
    check(campaign, label_of(s4=np.array([0, 2, 1])[MASK], s3=np.array([0, 2, 1])[BOTH_ASKED[3]]))


def test_overlap_of_dicom_segments_is_refused(dicom: tuple[Campaign, list[Any]]) -> None:
    campaign, series = dicom
    masks = np.zeros((*SHAPE, 2), np.uint8)
    masks[4, 1:4, 1, 0] = masks[4, 2:6, 1, 1] = 1
    write_dicom_segmentation(campaign.folder / "labels" / "a.dcm", series, masks)
    refused(campaign, "a.dcm: segments of different labels overlap on 2 voxels")


def test_shares_of_voxels_are_refused(dicom: tuple[Campaign, list[Any]]) -> None:
    campaign, series = dicom
    file = campaign.folder / "labels" / "a.dcm"
    write_dicom_segmentation(file, series, MASK / 2 * np.ones(SHAPE), ["organ"], "FRACTIONAL")
    refused(campaign, r"a.dcm is a FRACTIONAL segmentation with shares of voxels \(128 of 255\)")


@pytest.mark.parametrize("name", ["a.dcm", "export.dcm"])
@pytest.mark.parametrize("full", [255, 1, 100])
def test_whole_voxels_as_shares(dicom: tuple[Campaign, list[Any]], name: str, full: int) -> None:
    campaign, series = dicom
    masks = np.stack([BOTH_ASKED == 1, BOTH_ASKED == 2], axis=-1).astype(float)
    file = campaign.folder / "labels" / name
    write_dicom_segmentation(file, series, masks, kind="FRACTIONAL")
    content = pydicom.dcmread(file)
    stored = content.pixel_array
    content.MaximumFractionalValue = full
    content.PixelData = np.where(stored, full, 0).astype(np.uint8).tobytes()
    content.save_as(file)
    check(campaign, label_of(s4=MASK, s3=BOTH_ASKED[3]))


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_segment_without_a_name_is_refused(dicom: tuple[Campaign, list[Any]], kind: str) -> None:
    campaign, series = dicom
    file = campaign.folder / "labels" / "a.dcm"
    write_dicom_segmentation(file, series, BOTH_ASKED, kind=kind)
    content = pydicom.dcmread(file)
    content.SegmentSequence = [s for s in content.SegmentSequence if s.SegmentLabel == "organ"]
    content.save_as(file)
    refused(campaign, "a.dcm holds 2, a segment without a name")


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_damaged_segmentation_is_refused(dicom: tuple[Campaign, list[Any]], kind: str) -> None:
    campaign, series = dicom
    file = campaign.folder / "labels" / "a.dcm"
    write_dicom_segmentation(file, series, BOTH_ASKED, kind=kind)
    file.write_bytes(file.read_bytes()[:-30])
    refused(campaign, "a.dcm: frame . is damaged|a.dcm cannot be read")


def test_other_dicom_files_are_refused(dicom: tuple[Campaign, list[Any]]) -> None:
    campaign, series = dicom
    series[0].save_as(campaign.folder / "labels" / "a.dcm")
    refused(campaign, "a.dcm cannot be read as a DICOM segmentation")


def test_missing_library(
    dicom: tuple[Campaign, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(dicom[0], "a.dcm")
    monkeypatch.setitem(sys.modules, "highdicom", None)
    refused(dicom[0], r'pip install "nnunet-sparse\[dicom\]"')
