from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from campaign.annotation_fixtures import (
    IGNORE,
    ORIGIN,
    SHAPE,
    SPACING,
    TURN,
    annotated,
    check,
    make_campaign,
    placed,
    refused,
    save,
    touch,
)

from nnunet_sparse.campaign.annotation_files import (
    AnnotationFiles,
    find_annotations,
    read_annotation,
)
from nnunet_sparse.campaign.campaign import Campaign


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    return make_campaign(tmp_path / "campaign")


FORMATS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".gipl", ".gipl.gz")


@pytest.mark.parametrize("ending", FORMATS)
def test_formats_of_volumes(campaign: Campaign, ending: str) -> None:
    save(campaign, f"a{ending}", placed(annotated()))
    check(campaign, annotated())


@pytest.mark.parametrize("ending", FORMATS[:-1])
def test_endings_in_capital_letters(campaign: Campaign, ending: str) -> None:
    file = save(campaign, f"a{ending}", placed(annotated()))
    file.rename(file.with_name(f"a{ending.upper()}"))
    check(campaign, annotated())


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        (".nii.gz", "is damaged"),
        (".nii", "is truncated: 732 of 832 bytes"),
        (".mha", "is truncated"),
        (".gipl", "is truncated"),
    ],
)
def test_truncated_volume_with_capital_letters(
    campaign: Campaign, ending: str, message: str
) -> None:
    file = save(campaign, f"a{ending}", placed(annotated()))
    file.with_name(f"a{ending.upper()}").write_bytes(file.read_bytes()[:-100])
    file.unlink()
    refused(campaign, f"a{ending.upper()} {message}")


@pytest.mark.parametrize("name", ["a.Nii", "a.Nii.Gz", "a.nii.GZ", "a.GIPL.GZ"])
def test_ending_that_libraries_do_not_know_is_refused(campaign: Campaign, name: str) -> None:
    touch(campaign, name)
    refused(campaign, f"{name} cannot be read under this name; call it {name.lower()}")


def test_four_dimensions_are_refused(campaign: Campaign) -> None:
    label = placed(annotated())
    save(campaign, "x.mha", sitk.JoinSeries(label, label)).rename(
        campaign.folder / "labels" / "a.MHA"
    )
    refused(campaign, "a.MHA is a 4D image, not a volume")


@pytest.mark.parametrize("ending", [".gipl", ".gipl.gz"])
def test_gipl_has_no_directions(tmp_path: Path, ending: str) -> None:
    """Its voxels cannot be told from those of a flipped label."""
    campaign = make_campaign(tmp_path / "c", {"a": placed(np.zeros(SHAPE), turn=TURN)})
    save(campaign, f"a{ending}", placed(annotated(), turn=TURN))
    refused(campaign, "lies elsewhere .*GIPL keeps no directions: save it as NIfTI or NRRD")


@pytest.mark.parametrize("name", ["a.tif", "a.TIF", "a.ome.tif", "a.ome.tiff"])
def test_stacks_under_all_their_endings(campaign: Campaign, name: str) -> None:
    tifffile.imwrite(campaign.folder / "labels" / name, annotated(), ome=".ome" in name)
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


@pytest.mark.parametrize("value", [IGNORE, 0])
@pytest.mark.parametrize("axes", ["LPS", "RAI"])
def test_volume_beside_its_image_is_refused(campaign: Campaign, value: int, axes: str) -> None:
    label = np.full(SHAPE, value, np.uint8)
    save(campaign, "a.nrrd", placed(label, axes, origin=(*ORIGIN[:2], ORIGIN[2] + SPACING[2])))
    # one slice is 3 mm, the smallest spacing 1 mm
    reason = "origin, spacing or direction differ, by up to 3 voxels$"
    refused(campaign, f"a.nrrd lies elsewhere than its image .*a_0000.nii.gz: {reason}")


def test_other_shape_along_the_axes_of_the_image_is_refused(campaign: Campaign) -> None:
    save(campaign, "a.nrrd", placed(np.zeros((8, 6, 10), np.uint8)))
    shapes = r"it has shape \(8, 6, 10\), the image \(6, 8, 10\)"
    refused(campaign, f"a.nrrd lies elsewhere than its image .*: along .* {shapes}")


@pytest.mark.parametrize(
    ("ending", "compressed", "expected"),
    [
        (".mhd", False, ["a.mhd", "a.raw"]),
        (".mhd", True, ["a.mhd", "a.zraw"]),
        (".mha", False, ["a.mha"]),
        (".nrrd", False, ["a.nrrd"]),
        (".nhdr", False, ["a.nhdr", "a.raw"]),
        (".nhdr", True, ["a.nhdr", "a.raw.gz"]),
    ],
)
def test_all_files_that_are_read(
    campaign: Campaign, ending: str, compressed: bool, expected: list[str]
) -> None:
    file = campaign.folder / "labels" / f"a{ending}"
    sitk.WriteImage(placed(annotated()), str(file), compressed)
    check(campaign, annotated())
    files = find_annotations(campaign).cases["a"].all_files
    assert files == tuple(file.with_name(name) for name in expected)


def test_all_files_where_a_header_and_its_voxels_have_other_names(campaign: Campaign) -> None:
    header = save(campaign, "a.mhd", placed(annotated()))
    header.write_text(header.read_text().replace("= a.raw", "= of a.raw"))
    header.with_name("a.raw").rename(header.with_name("of a.raw"))
    header.rename(header.with_name("a.MHD"))
    (found,) = find_annotations(campaign).cases.values()
    assert [file.name for file in found.all_files] == ["a.MHD", "of a.raw"]
    np.testing.assert_array_equal(read_annotation(campaign, "a", found), annotated())


def test_nrrd_whose_voxels_lie_in_a_file_of_any_name(campaign: Campaign) -> None:
    header = save(campaign, "a.nhdr", placed(annotated()))
    header.write_text(header.read_text().replace("a.raw", "mask.bin"))
    header.with_name("a.raw").rename(header.with_name("mask.bin"))
    check(campaign, annotated())


def test_nrrd_with_voxels_in_several_files_is_refused(campaign: Campaign) -> None:
    header = save(campaign, "a.nhdr", placed(annotated()))
    header.write_text(header.read_text().replace("data file: a.raw", "data file: LIST\na.raw"))
    refused(campaign, "a.nhdr keeps its voxels in several files")


@pytest.mark.parametrize("several", ["LIST\na.raw", "a%d.raw 1 6 1"])
def test_voxels_in_several_files_are_refused(campaign: Campaign, several: str) -> None:
    header = save(campaign, "a.mhd", placed(annotated()))
    header.write_text(header.read_text().replace("a.raw", several))
    refused(campaign, "a.mhd keeps its voxels in several files")


@pytest.mark.parametrize("options", [{}, {"imagej": True}, {"compression": "zlib"}], ids=str)
@pytest.mark.parametrize("name", ["a.tif", "a.TIFF"])
def test_stack_of_pictures(campaign: Campaign, name: str, options: dict[str, Any]) -> None:
    tifffile.imwrite(campaign.folder / "labels" / name, annotated(), **options)
    check(campaign, annotated())


@pytest.mark.parametrize("slices", [3, 4])
def test_stack_of_few_slices_is_no_colour(tmp_path: Path, slices: int) -> None:
    """As napari writes it, by tifffile, which takes three planes for red, green and blue."""
    label = annotated()[1 : slices + 1]
    image = placed(np.zeros(label.shape))
    campaign = make_campaign(tmp_path / "c", {"a": image})
    file = campaign.folder / "labels" / "a.tif"
    tifffile.imwrite(file, label, compression="zlib")
    found = AnnotationFiles("volume", (file,))
    np.testing.assert_array_equal(read_annotation(campaign, "a", found), label)


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        (
            annotated().T,
            r"has shape \(10, 8, 6\), its image .* \(6, 8, 10\).*: save its transpose",
        ),
        (annotated()[0], r"has shape \(8, 10\), its image .* \(6, 8, 10\) \(z, y, x\)$"),
        (annotated() + np.uint8(4), "holds the values 4, 5, 6, 7; allowed"),
        (annotated() / 2, "holds the label value"),
    ],
)
def test_other_stacks_are_refused(campaign: Campaign, stack: np.ndarray, message: str) -> None:
    tifffile.imwrite(campaign.folder / "labels" / "a.tif", stack, photometric="minisblack")
    refused(campaign, f"a.tif {message}")


def test_white_in_a_stack_is_the_only_label(tmp_path: Path) -> None:
    campaign = make_campaign(tmp_path / "c", labels={"background": 0, "organ": 1})
    mask = (annotated() == 1).astype(np.uint8)
    file = campaign.folder / "labels" / "a.tif"
    tifffile.imwrite(file, mask * 255, photometric="miniswhite")
    check(campaign, mask)


@pytest.mark.parametrize(
    ("ending", "lost", "message"),
    [
        (".nii.gz", 9, "is damaged"),
        (".nii", 100, "is truncated: 732 of 832 bytes"),
        (".nrrd", 9, "cannot be read"),
        (".mha", 9, "is truncated"),
        (".gipl", 1, "is truncated"),
        (".gipl.gz", 9, "is damaged"),
    ],
)
def test_truncated_volume_is_refused(
    campaign: Campaign, ending: str, lost: int, message: str
) -> None:
    file = save(campaign, f"a{ending}", placed(annotated()))
    file.write_bytes(file.read_bytes()[:-lost])
    refused(campaign, f"a{ending} {message}")
