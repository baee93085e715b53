from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from campaign.annotation_fixtures import (
    IGNORE,
    MASK,
    ORIGIN,
    SHAPE,
    SPACING,
    check,
    draw,
    label_of,
    make_campaign,
    placed,
    read,
    refused,
    save,
)
from PIL import Image

from nnunet_sparse.campaign.campaign import Campaign

ONE_LABEL = {"background": 0, "organ": 1}


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    return make_campaign(tmp_path / "campaign")


@pytest.mark.parametrize("ending", [".png", ".tif", ".tiff", ".bmp"])
def test_picture_decides_on_its_slice_alone(campaign: Campaign, ending: str) -> None:
    draw(campaign, f"a_slice04{ending}", MASK)
    draw(campaign, f"a_slice3{ending.upper()}", MASK)
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


def test_object_of_a_picture_in_which_white_is_0(tmp_path: Path) -> None:
    campaign = make_campaign(tmp_path / "c", labels=ONE_LABEL)
    file = campaign.folder / "labels" / "a_slice4.tif"
    tifffile.imwrite(file, (MASK == 1) * np.uint8(255), photometric="miniswhite")
    np.testing.assert_array_equal(read(campaign)[4], MASK == 1)


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


def test_white_that_is_ignore_stays_so(tmp_path: Path) -> None:
    campaign = make_campaign(tmp_path / "c", labels={"background": 0, "organ": 254})
    draw(campaign, "a_slice4.png", (MASK == 1) * np.uint8(255))
    assert np.array_equal(read(campaign)[4], (MASK == 1) * 255)


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


def test_single_slice_with_an_ending_in_capital_letters(campaign: Campaign) -> None:
    save(campaign, "a_slice4.NRRD", slice_image(4))
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
