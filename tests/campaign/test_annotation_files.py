import struct
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from campaign.annotation_fixtures import (
    ASKED,
    IGNORE,
    ORIGIN,
    SHAPE,
    SPACING,
    make_campaign,
    placed,
    write_dicom_segmentation,
    write_dicom_series,
)
from PIL import Image
from published_trees import LPS, write_segmentation

from nnunet_sparse.campaign.annotation_files import (
    AnnotationFiles,
    find_annotations,
    read_annotation,
)
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.errors import SparseError

TURN = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
ONE_LABEL = {"background": 0, "organ": 1}


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    return make_campaign(tmp_path / "campaign")


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


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.nii", "volume"),
        ("a.nrrd", "volume"),
        ("a.seg.nrrd", "slicer"),
        ("a.dcm", "dicom"),
        ("a/anything.dcm", "dicom"),
    ],
)
def test_kind_of_a_file(campaign: Campaign, name: str, kind: str) -> None:
    files = touch(campaign, name)
    assert find_annotations(campaign).cases == {"a": AnnotationFiles(kind, tuple(files))}  # type: ignore[arg-type]


def test_slices_are_sorted_by_number(campaign: Campaign) -> None:
    tenth, second = touch(campaign, "a_slice0010.png", "a_slice2.nii.gz")
    expected = AnnotationFiles("slices", (second, tenth), (2, 10))
    assert find_annotations(campaign).cases == {"a": expected}


def test_case_whose_name_looks_like_a_slice(tmp_path: Path) -> None:
    image = placed(np.zeros(SHAPE))
    campaign = make_campaign(tmp_path / "c", {"a": image, "a_slice1": image})
    touch(campaign, "a_slice1.nii.gz")
    assert list(find_annotations(campaign).cases) == ["a_slice1"]


def test_files_without_case_are_listed_and_others_passed_over(campaign: Campaign) -> None:
    unknown = touch(campaign, "a.png", "a_slice3.seg.nrrd", "b.nii.gz", "b_slice1.png", "c.raw")
    touch(campaign, "._a.nii.gz", ".DS_Store", "notes.txt", "w.csv", "x.html", "y.json")
    touch(campaign, "a.mhd", "a.raw")
    found = find_annotations(campaign)
    assert found.unknown == unknown
    assert list(found.cases) == ["a"]


def test_folders_without_case_are_listed(campaign: Campaign) -> None:
    (file,) = touch(campaign, "b/x.dcm")
    assert find_annotations(campaign).unknown == [file.parent]


def test_another_folder(campaign: Campaign, tmp_path: Path) -> None:
    (tmp_path / "back").mkdir()
    (tmp_path / "back" / "a.mha").touch()
    assert find_annotations(campaign, tmp_path / "back").cases["a"].kind == "volume"
    with pytest.raises(SparseError, match="nowhere is no folder"):
        find_annotations(campaign, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("names", "place"),
    [
        (("a.nii.gz", "a.seg.nrrd"), "a"),
        (("a.mha", "a.nrrd"), "a"),
        (("a.dcm", "a_slice1.png"), "a"),
        (("a_slice01.png", "a_slice1.tif"), "slice 1 of a"),
    ],
)
def test_two_annotations_are_refused(
    campaign: Campaign, names: tuple[str, str], place: str
) -> None:
    touch(campaign, *names)
    with pytest.raises(SparseError, match=f"{names[0]} and .*{names[1]} both annotate {place};"):
        find_annotations(campaign)


def test_two_dicom_files_in_a_folder_are_refused(campaign: Campaign) -> None:
    touch(campaign, "a/1.dcm", "a/2.dcm", "a/._1.dcm")
    with pytest.raises(SparseError, match=r"a holds 2 DICOM files \(1.dcm, 2.dcm"):
        find_annotations(campaign)


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".gipl"])
def test_formats_of_volumes(campaign: Campaign, ending: str) -> None:
    save(campaign, f"a{ending}", placed(annotated()))
    check(campaign, annotated())


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd"])
@pytest.mark.parametrize("axes", ["RAS", "SRP", "PIL"])
def test_volume_with_other_axes_of_an_oblique_image(tmp_path: Path, axes: str, ending: str) -> None:
    campaign = make_campaign(tmp_path / "c", {"a": placed(np.zeros(SHAPE), turn=TURN)})
    save(campaign, f"a{ending}", placed(annotated(), axes, TURN))
    check(campaign, annotated())


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd"])
def test_whole_numbers_as_floats(campaign: Campaign, ending: str) -> None:
    save(campaign, f"a{ending}", placed(annotated().astype(np.float32)))
    check(campaign, annotated())


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd"])
def test_other_floats_are_refused(campaign: Campaign, ending: str) -> None:
    save(campaign, f"a{ending}", placed(annotated() * np.float32(0.5)))
    refused(campaign, rf"a{ending} holds the label value 1.5, not a whole number")


def test_undeclared_values_are_refused_with_what_is_allowed(campaign: Campaign) -> None:
    label = annotated()
    label[0, 0, :2] = 7, 9
    save(campaign, "a.nrrd", placed(label))
    allowed = r"0 \(background\), 1 \(organ\), 2 \(big_lesion\), 3 \(ignore\)"
    refused(campaign, f"a.nrrd holds the values 7, 9; allowed are {allowed}")


@pytest.mark.parametrize(
    ("ending", "message"),
    [(".nii.gz", "has shape .*, not that of one label"), (".nrrd", "holds several values per")],
)
def test_several_values_per_voxel_are_refused(
    campaign: Campaign, ending: str, message: str
) -> None:
    label = placed(annotated())
    save(campaign, f"a{ending}", sitk.Compose(label, label))
    refused(campaign, f"a{ending} {message}")


def test_nifti_with_a_fourth_axis_of_length_1(campaign: Campaign) -> None:
    image = nibabel.load(save(campaign, "b.nii", placed(annotated())))
    volume = nibabel.Nifti1Image(np.asanyarray(image.dataobj)[..., None], image.affine)
    nibabel.save(volume, campaign.folder / "labels" / "a.nii")
    found = find_annotations(campaign).cases["a"]
    np.testing.assert_array_equal(read_annotation(campaign, "a", found), annotated())


def test_other_shape_is_refused(campaign: Campaign) -> None:
    save(campaign, "a.nrrd", placed(annotated()[:5]))
    refused(campaign, r"a.nrrd has shape \(5, 8, 10\) \(z, y, x\), its image .* \(6, 8, 10\)")


def test_other_spacing_is_refused(campaign: Campaign) -> None:
    label = placed(annotated())
    label.SetSpacing((1, 1.5, 2.5))
    save(campaign, "a.nrrd", label)
    refused(campaign, "a.nrrd lies elsewhere than its image .*a_0000.nii.gz: its spacing is 2.5 x")


@pytest.mark.parametrize(
    ("value", "reason"), [(IGNORE, "80 of its voxels"), (0, "it covers 400 of 480 voxels")]
)
def test_volume_beside_its_image_is_refused(campaign: Campaign, value: int, reason: str) -> None:
    label = np.full(SHAPE, value, np.uint8)
    save(campaign, "a.nrrd", placed(label, origin=(*ORIGIN[:2], ORIGIN[2] + SPACING[2])))
    refused(campaign, f"a.nrrd lies elsewhere than its image .*: {reason}")


@pytest.mark.parametrize(
    ("ending", "lost", "message"),
    [
        (".nii.gz", 9, "is damaged"),
        (".nii", 100, "is truncated: 732 of 832 bytes"),
        (".nrrd", 9, "cannot be read"),
        (".mha", 9, "cannot be read"),
        (".gipl", 1, "is truncated"),
    ],
)
def test_truncated_volume_is_refused(
    campaign: Campaign, ending: str, lost: int, message: str
) -> None:
    file = save(campaign, f"a{ending}", placed(annotated()))
    file.write_bytes(file.read_bytes()[:-lost])
    refused(campaign, f"a{ending} {message}")


MASK = np.zeros(SHAPE[1:], np.uint8)
MASK[2:5, 3:9] = 1
MASK[0, 0] = 2


@pytest.mark.parametrize("ending", [".png", ".tif", ".tiff", ".bmp"])
def test_picture_decides_on_its_slice_alone(campaign: Campaign, ending: str) -> None:
    draw(campaign, f"a_slice04{ending}", MASK)
    draw(campaign, f"a_slice3{ending}", MASK)
    check(campaign, label_of(s4=MASK, s3=MASK))


def test_picture_with_a_palette_holds_indices(campaign: Campaign) -> None:
    picture = Image.frombytes("P", MASK.shape[::-1], MASK.tobytes())
    picture.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
    draw(campaign, "a_slice4.png", picture)
    check(campaign, label_of(s4=MASK))


def test_picture_of_1_bit(campaign: Campaign) -> None:
    draw(campaign, "a_slice4.png", MASK == 1)
    check(campaign, label_of(s4=MASK == 1))


def test_picture_of_16_bits(campaign: Campaign) -> None:
    draw(campaign, "a_slice4.png", MASK.astype(np.uint16))
    check(campaign, label_of(s4=MASK))


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_values_of_few_bits_are_not_stretched(campaign: Campaign, bits: int) -> None:
    file = campaign.folder / "labels" / "a_slice4.png"
    write_grey_png(file, MASK, bits)
    assert np.asarray(Image.open(file)).max() == 2 * 255 // (2**bits - 1)
    check(campaign, label_of(s4=MASK))


def write_grey_png(file: Path, pixels: np.ndarray, bits: int) -> None:
    """Grey values of 2 or 4 bits, which Pillow reads and does not write."""
    rows, columns = pixels.shape
    numbers = (pixels[..., None] >> np.arange(bits)[::-1]) & 1  # [rows, columns, bits]
    packed = np.packbits(numbers.reshape(rows, -1).astype(np.uint8), axis=1)
    lines = np.pad(packed, ((0, 0), (1, 0)))  # each line starts with its filter, none
    header = struct.pack(">IIBBBBB", columns, rows, bits, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b""))
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    ]
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def test_equal_channels_are_grey(campaign: Campaign) -> None:
    draw(campaign, "a_slice4.png", MASK, "RGB")
    draw(campaign, "a_slice3.png", MASK, "RGBA")
    check(campaign, label_of(s4=MASK, s3=MASK))


def test_colours_are_refused(campaign: Campaign) -> None:
    draw(campaign, "a_slice4.png", np.stack([MASK, MASK, 0 * MASK], axis=-1))
    refused(campaign, "a_slice4.png is coloured")


def test_transparency_is_refused(campaign: Campaign) -> None:
    draw(campaign, "a_slice4.png", np.stack([MASK, MASK, MASK, MASK], axis=-1))
    refused(campaign, "a_slice4.png is transparent in places")


def test_white_is_the_only_label(tmp_path: Path) -> None:
    campaign = make_campaign(tmp_path / "c", labels=ONE_LABEL)
    draw(campaign, "a_slice4.png", (MASK == 1) * np.uint8(255))
    expected = np.full(SHAPE, 2)
    expected[1] = 0
    expected[4] = MASK == 1
    check(campaign, expected)


def test_white_among_several_labels_is_refused(campaign: Campaign) -> None:
    draw(campaign, "a_slice4.png", (MASK == 1) * np.uint8(255))
    refused(campaign, "a_slice4.png holds the values 255; allowed are 0")


def test_white_beside_other_values_is_refused(tmp_path: Path) -> None:
    campaign = make_campaign(tmp_path / "c", labels=ONE_LABEL)
    draw(campaign, "a_slice4.png", np.where(MASK == 2, 1, MASK * 255).astype(np.uint8))
    refused(campaign, "holds the values 255")


@pytest.mark.parametrize(("axis", "shape"), [(1, (6, 10)), (2, (6, 8))])
def test_slices_along_other_axes(tmp_path: Path, axis: int, shape: tuple[int, int]) -> None:
    campaign = make_campaign(tmp_path / "c", axis=axis)
    mask = np.zeros(shape, np.uint8)
    mask[1, 2:5] = 2
    draw(campaign, "a_slice4.png", mask)
    label = np.moveaxis(read(campaign), axis, 0)
    np.testing.assert_array_equal(label[4], mask)
    assert (label[1] == 0).all()
    assert (label[[0, 2, 3, 5]] == IGNORE).all()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (MASK.T, "has 10 rows and 8 columns, a slice of .* has 8 and 10; it is transposed"),
        (MASK[1:], "has 7 rows and 10 columns, a slice of .*a_0000.nii.gz has 8 and 10$"),
    ],
)
def test_picture_of_another_shape_is_refused(
    campaign: Campaign, mask: np.ndarray, message: str
) -> None:
    draw(campaign, "a_slice4.png", mask)
    refused(campaign, f"a_slice4.png {message}")


def test_slice_beyond_the_volume_is_refused(campaign: Campaign) -> None:
    draw(campaign, "a_slice6.png", MASK)
    refused(campaign, "a_slice6.png: the slices of .* are 0 to 5")


def test_several_pictures_in_a_file_are_refused(campaign: Campaign) -> None:
    page = Image.fromarray(MASK)
    draw(campaign, "a_slice4.tif", page, save_all=True, append_images=[page])
    refused(campaign, "a_slice4.tif holds 2 pictures")


def test_damaged_picture_is_refused(campaign: Campaign) -> None:
    file = draw(campaign, "a_slice4.png", MASK)
    file.write_bytes(file.read_bytes()[:-25])
    refused(campaign, "a_slice4.png cannot be read as a picture")


def slice_image(number: int, mask: np.ndarray = MASK, axes: str = "LPS") -> sitk.Image:
    place = (*ORIGIN[:2], ORIGIN[2] + number * SPACING[2])
    return placed(mask[None], axes, origin=place)


@pytest.mark.parametrize("axes", ["LPS", "RAI", "SAL"])
@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_single_slice_in_the_format_of_volumes(campaign: Campaign, ending: str, axes: str) -> None:
    save(campaign, f"a_slice4{ending}", slice_image(4, axes=axes))
    check(campaign, label_of(s4=MASK))


def test_slice_elsewhere_than_its_name_says_is_refused(campaign: Campaign) -> None:
    save(campaign, "a_slice3.nrrd", slice_image(4))
    refused(campaign, "a_slice3.nrrd: the header says that it is slice 4 of axis 0, the name 3")


def test_slice_along_another_axis_is_refused(campaign: Campaign) -> None:
    save(campaign, "a_slice0.nrrd", placed(np.zeros((6, 1, 10), np.uint8)))
    refused(campaign, "a_slice0.nrrd")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 8, 10), np.uint8), r"has shape \(2, 8, 10\) .*, expected a single slice"),
        (np.zeros((1, 7, 10), np.uint8), "lies elsewhere than .* covers 70 voxels of slice 0"),
    ],
)
def test_other_shape_of_a_single_slice_is_refused(
    campaign: Campaign, array: np.ndarray, message: str
) -> None:
    save(campaign, "a_slice0.nrrd", placed(array))
    refused(campaign, f"a_slice0.nrrd {message}")


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
    refused(campaign, "a.seg.nrrd lies elsewhere than its image .*: 160 of its voxels")


def test_truncated_segmentation_is_refused(campaign: Campaign) -> None:
    file = segment(campaign, annotated())
    file.write_bytes(file.read_bytes()[:-20])
    refused(campaign, "a.seg.nrrd cannot be read")


MIRRORED = TURN * [1, 1, -1]  # slices are stored from head to foot
BOTH_ASKED = np.zeros(SHAPE, np.uint8)
BOTH_ASKED[4] = MASK
BOTH_ASKED[3, 7, 9] = 2


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
    [["organ", "Segment 1"], ["organ", "vessel"], ["organ", "big lesion", "Segment 3"]],
)
def test_unknown_names_of_dicom_segments_are_refused(
    dicom: tuple[Campaign, list[Any]], names: list[str]
) -> None:
    campaign, series = dicom
    write_dicom_segmentation(campaign.folder / "labels" / "a.dcm", series, BOTH_ASKED, names)
    refused(campaign, f"a.dcm: segment '{names[-1]}' is none of the labels")


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


def test_fractional_segmentation_is_refused(dicom: tuple[Campaign, list[Any]]) -> None:
    campaign, series = dicom
    file = campaign.folder / "labels" / "a.dcm"
    write_dicom_segmentation(file, series, MASK / 2 * np.ones(SHAPE), ["organ"], "FRACTIONAL")
    refused(campaign, "a.dcm is a FRACTIONAL segmentation, expected BINARY or LABELMAP")


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


def test_segmentation_finds_the_image_that_it_lies_on(tmp_path: Path) -> None:
    series, image = write_dicom_series(tmp_path / "series")
    other = write_dicom_series(tmp_path / "other", origin=(0, 0, 0.7))[1]
    campaign = make_campaign(tmp_path / "c", {"a": other, "b": image})
    file = campaign.folder / "labels" / "export 17.dcm"
    write_dicom_segmentation(file, series, BOTH_ASKED)
    assert find_annotations(campaign).cases == {"b": AnnotationFiles("dicom", (file,))}


@pytest.mark.parametrize(("cases", "where"), [("ab", "the images of a, b"), ("c", "no image")])
def test_segmentation_of_no_or_two_images_is_refused(
    tmp_path: Path, cases: str, where: str
) -> None:
    series, image = write_dicom_series(tmp_path / "series")
    other = placed(np.zeros(SHAPE), origin=(0, 0, 0.7))
    campaign = make_campaign(tmp_path / "c", {c: other if c == "c" else image for c in cases})
    write_dicom_segmentation(campaign.folder / "labels" / "x.dcm", series, BOTH_ASKED)
    with pytest.raises(SparseError, match=f"x.dcm lies on the voxels of {where}; call it CASE"):
        find_annotations(campaign)
