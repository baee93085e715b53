import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from campaign.annotation_fixtures import (
    IGNORE,
    MASK,
    ORIGIN,
    SHAPE,
    SPACING,
    annotated,
    check,
    label_of,
    make_campaign,
    refused,
)
from published_trees import write_segmentation

from nnunet_sparse.campaign.campaign import Campaign


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    return make_campaign(tmp_path / "campaign")


def segment(
    campaign: Campaign,
    array: np.ndarray,
    segments: Sequence[tuple[str, int, int]] = (("organ", 1, 0), ("big_lesion", 2, 0)),
    first_slice: int = 0,
) -> Path:
    origin = (*ORIGIN[:2], ORIGIN[2] + first_slice * SPACING[2])
    file = campaign.folder / "labels" / "a.seg.nrrd"
    return write_segmentation(file, array, segments, SPACING, origin)


def test_segments_decide_on_asked_slices_and_those_they_mark(campaign: Campaign) -> None:
    array = np.zeros((3, *MASK.shape), np.uint8)  # slices 2 to 4
    array[0, 1, 1], array[2] = 2, MASK
    segment(campaign, array, first_slice=2)
    check(campaign, label_of(s2=array[0], s4=MASK))


def test_segments_are_matched_by_name_not_value(campaign: Campaign) -> None:
    array = np.zeros(SHAPE, np.uint8)
    array[4] = MASK
    segment(campaign, array, [("Big Lesion ", 1, 0), ("ORGAN", 2, 0), ("Ignore", 5, 0)])
    check(campaign, label_of(s4=np.array([0, 2, 1])[MASK]))


def test_segment_ignore_says_nothing_of_other_slices(campaign: Campaign) -> None:
    array = np.zeros(SHAPE, np.uint8)
    array[2:5, 0, 0] = 1
    segment(campaign, array, [("ignore", 1, 0)])
    expected = label_of()
    expected[4, 0, 0] = IGNORE
    check(campaign, expected)


def test_layers_of_one_label_may_overlap(campaign: Campaign) -> None:
    layers = np.zeros((*SHAPE, 2), np.uint8)
    layers[4, 1:4, 1, 0] = layers[4, 2:6, 1, 1] = 1
    segment(campaign, layers, [("organ", 1, 0), ("Organ", 1, 1)])
    expected = label_of()
    expected[4, 1:6, 1] = 1
    check(campaign, expected)


def test_overlap_of_two_labels_is_refused(campaign: Campaign) -> None:
    layers = np.zeros((*SHAPE, 2), np.uint8)
    layers[4, 1:4, 1, 0] = layers[4, 2:6, 1, 1] = 1
    segment(campaign, layers, [("organ", 1, 0), ("big lesion", 1, 1)])
    refused(campaign, "a.seg.nrrd: segments of different labels overlap on 2 voxels")


def test_empty_segments_leave_asked_slices_background(campaign: Campaign) -> None:
    segment(campaign, np.zeros(SHAPE, np.uint8))
    check(campaign, label_of())


@pytest.mark.parametrize("layer", [0, 1])
def test_empty_segments_may_be_called_anything(
    campaign: Campaign, layer: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    array = np.zeros((*SHAPE, layer + 1), np.uint8)
    array[4, ..., 0] = MASK
    named = [("organ", 1, 0), ("big_lesion", 2, 0)]
    segment(campaign, array.squeeze(), [*named, ("Segment_3", 3, layer)])
    check(campaign, label_of(s4=MASK))
    assert "segment 'Segment_3' is none of the labels" in caplog.text
    assert "(it is empty, and changes nothing)" in caplog.text
    array[2, 0, 0, layer] = 3
    segment(campaign, array.squeeze(), [*named, ("Segment_3", 3, layer)])
    refused(campaign, "segment 'Segment_3' is none of the labels")


def of_version_4_10(file: Path) -> None:
    """As 3D Slicer wrote it until then: without label values and layers."""
    header, data = file.read_bytes().split(b"\n\n", 1)
    lines = [line for line in header.split(b"\n") if not re.match(rb"Segment\d+_L", line)]
    file.write_bytes(b"\n".join(lines) + b"\n\n" + data)


@pytest.mark.parametrize("names", [["organ"], ["big lesion"], ["big_lesion", "ORGAN"],
                                   ["organ", "ignore", "big_lesion"],
                                   ["organ", "big_lesion", "organ", "Big Lesion"]])  # fmt: skip
def test_a_layer_for_each_segment(campaign: Campaign, names: list[str]) -> None:
    layers = np.zeros((*SHAPE, len(names)), np.uint8)
    expected = label_of()
    values = {"organ": 1, "big lesion": 2, "ignore": IGNORE}
    for k, name in enumerate(names):
        layers[4, k, 1 : k + 3, k] = 1
        expected[4, k, 1 : k + 3] = values[name.lower().replace("_", " ")]
    of_version_4_10(segment(campaign, layers, [(name, 9, 9) for name in names]))
    check(campaign, expected)


def test_overlap_of_segments_with_a_layer_each_is_refused(campaign: Campaign) -> None:
    layers = np.zeros((*SHAPE, 2), np.uint8)
    layers[4, 1:4, 1, 0] = layers[4, 2:6, 1, 1] = 1
    of_version_4_10(segment(campaign, layers))
    refused(campaign, "a.seg.nrrd: segments of different labels overlap on 2 voxels")


def test_segments_of_which_the_layer_is_unknown_are_refused(campaign: Campaign) -> None:
    of_version_4_10(segment(campaign, np.ones(SHAPE, np.uint8)))
    refused(campaign, "gives no label values, and there are 1 layers for 2 segments")


@pytest.mark.parametrize(
    ("label", "segment_name"),
    [("Leßion ünd", "LESSION_U\u0308ND"), ("u\u0308ber", "\u00dcber"), ("\ufb01eld", "field")],
)
def test_names_in_another_form_of_unicode(tmp_path: Path, label: str, segment_name: str) -> None:
    campaign = make_campaign(tmp_path / "c", labels={"background": 0, label: 1})
    segment(campaign, np.ones(SHAPE, np.uint8), [(segment_name, 1, 0)])
    check(campaign, np.ones(SHAPE))


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        (
            [("Segment_1", 1, 0)],
            "segment 'Segment_1' is none of the labels; they are called 'background', 'organ', "
            "'big_lesion', 'ignore'",
        ),
        ([("organ", 1, 0), ("big_lesion", 1, 0)], "segment 'big_lesion' has no value of its own"),
        ([("big_lesion", 1, 0), ("organ", 0, 0)], "segment 'organ' has no value of its own"),
        ([("organ", 1, 3)], "segment 'organ' lies in a missing layer"),
        ([("organ", 2, 0)], "holds 1, a segment without a name"),
    ],
)
def test_unclear_segments_are_refused(
    campaign: Campaign, segments: list[tuple[str, int, int]], message: str
) -> None:
    segment(campaign, np.ones(SHAPE, np.uint8), segments)
    refused(campaign, f"a.seg.nrrd:? {message}")


def test_an_equal_name_is_preferred(tmp_path: Path) -> None:
    labels = {"background": 0, "left lung": 1, "Left_Lung": 2}
    campaign = make_campaign(tmp_path / "c", labels=labels)
    segment(campaign, np.ones(SHAPE, np.uint8), [("Left_Lung", 1, 0)])
    check(campaign, np.full(SHAPE, 2))
    segment(campaign, np.ones(SHAPE, np.uint8), [("left_lung", 1, 0)])
    refused(campaign, "'left_lung' is none of the labels")


def test_segmentation_elsewhere_is_refused(campaign: Campaign) -> None:
    segment(campaign, np.ones(SHAPE, np.uint8), [("organ", 1, 0)], first_slice=2)
    refused(campaign, "a.seg.nrrd lies elsewhere than its image .*: origin, .* up to 6 voxels")


def test_truncated_segmentation_is_refused(campaign: Campaign) -> None:
    file = segment(campaign, annotated())
    file.write_bytes(file.read_bytes()[:-20])
    refused(campaign, "a.seg.nrrd is damaged")
