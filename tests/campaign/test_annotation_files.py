from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from campaign.annotation_fixtures import (
    BOTH_ASKED,
    IGNORE,
    MASK,
    SHAPE,
    annotated,
    check,
    draw,
    label_of,
    make_campaign,
    placed,
    refused,
    save,
    touch,
    write_dicom_segmentation,
    write_dicom_series,
)

from nnunet_sparse.campaign.annotated_case import AnnotatedCase
from nnunet_sparse.campaign.annotation_files import (
    AnnotationFiles,
    FoundAnnotations,
    find_annotations,
)
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.system.errors import SparseError


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    return make_campaign(tmp_path / "campaign")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.nii", "volume"),
        ("a.nrrd", "volume"),
        ("a.seg.nrrd", "slicer"),
        ("a.dcm", "dicom"),
        ("a/anything.dcm", "dicom"),
        ("a.NII.GZ", "volume"),
        ("a.Seg.NRRD", "slicer"),
        ("a.DCM", "dicom"),
        ("a/anything.DCM", "dicom"),
    ],
)
def test_kind_of_a_file(campaign: Campaign, name: str, kind: str) -> None:
    files = touch(campaign, name)
    assert find_annotations(campaign).cases == {"a": AnnotationFiles(kind, tuple(files))}  # type: ignore[arg-type]


def test_slices_are_sorted_by_number(campaign: Campaign) -> None:
    tenth, second = touch(campaign, "a_slice0010.PNG", "a_slice2.nii.gz")
    expected = AnnotationFiles("slices", (second, tenth), (2, 10))
    assert find_annotations(campaign).cases == {"a": expected}


def test_case_whose_name_looks_like_a_slice(tmp_path: Path) -> None:
    image = placed(np.zeros(SHAPE))
    campaign = make_campaign(tmp_path / "c", {"a": image, "a_slice1": image})
    touch(campaign, "a_slice1.nii.gz")
    assert list(find_annotations(campaign).cases) == ["a_slice1"]


def test_files_without_case_are_listed_and_others_passed_over(campaign: Campaign) -> None:
    unknown = touch(campaign, "Segmentation.seg.nrrd", "b.nii.gz", "b_slice1.png", "c.raw")
    touch(campaign, "._a.nii.gz", ".DS_Store", "notes.txt", "w.csv", "x.html", "y.json")
    touch(campaign, "a.mhd", "a.raw", "a.itksnap", "empty/notes.txt")
    found = find_annotations(campaign)
    assert found.unknown == unknown
    assert list(found.cases) == ["a"]


@pytest.mark.parametrize(
    ("case_id", "name", "right"),
    [
        ("b", "B.nii.gz", "b.nii.gz"),
        ("b", "b_0000.nii.gz", "b.nii.gz"),
        ("B", "b.seg.nrrd", "B.seg.nrrd"),
        ("scan_1", "Scan 1.mha", "scan_1.mha"),
        ("b", "B_slice3.png", "b_slice3.png"),
        ("b", "b_Slice3.tif", "b_slice3.tif"),
        ("1.10", "1.10_0000.tif", "1.10.tif"),
    ],
)
def test_name_that_differs_a_little_is_a_problem_of_its_case(
    tmp_path: Path, case_id: str, name: str, right: str
) -> None:
    campaign = make_campaign(tmp_path / "c", {case_id: placed(np.zeros(SHAPE))})
    (file,) = touch(campaign, name)
    problem = f"{file} seems to belong to case {case_id}; call it {right}"
    assert find_annotations(campaign) == FoundAnnotations({}, problems={case_id: problem})


@pytest.mark.parametrize(
    "name",
    ["a.png", "a.jpg", "a.hdr", "a", "a.nii.gz.bak", "a.tar.gz", "a_slice3.seg.nrrd", "a_0000.mgz"],
)
def test_file_of_another_kind_is_a_problem_of_its_case(campaign: Campaign, name: str) -> None:
    (file,) = touch(campaign, name)
    found = find_annotations(campaign)
    assert found == FoundAnnotations({}, problems={"a": found.problems["a"]})
    assert f"{file} is called after case a, and cannot be read as annota" in found.problems["a"]


def test_file_of_another_kind_beside_an_annotation_is_a_problem(campaign: Campaign) -> None:
    save(campaign, "a.nii.gz", placed(annotated()))
    (file,) = touch(campaign, "a.zip")
    assert str(file) in find_annotations(campaign).problems["a"]


@pytest.mark.parametrize("name", ["a.json", "A.CSV", "a_slice2.txt", "a.nii.gz.json", "a.docx"])
def test_text_called_after_a_case_is_a_problem_unless_it_is_annotated(
    campaign: Campaign, name: str
) -> None:
    (file,) = touch(campaign, name)
    assert str(file) in find_annotations(campaign).problems["a"]
    label = campaign.label_folder / "a.nii.gz"
    save(campaign, label.name, placed(AnnotatedCase(campaign, "a").prefilled()))
    found = find_annotations(campaign)
    assert str(file) in found.problems["a"]
    assert not found.cases
    save(campaign, label.name, placed(annotated()))
    found = find_annotations(campaign)
    assert (found.cases["a"].files, found.problems) == ((label,), {})


def test_other_files_in_a_folder_of_a_case_are_a_problem(campaign: Campaign) -> None:
    _, file = touch(campaign, "a/x.dcm", "a/Segmentation.seg.nrrd")
    problem = find_annotations(campaign).problems["a"]
    assert f"{file} is called after case a, and cannot be read as annotation: a folder" in problem


def test_names_of_two_cases_that_differ_by_signs(tmp_path: Path) -> None:
    image = placed(np.zeros(SHAPE))
    campaign = make_campaign(tmp_path / "c", {"a-1": image, "a_1": image})
    (file, unknown) = touch(campaign, "a_1.nrrd", "a 1.nrrd")
    assert find_annotations(campaign) == FoundAnnotations(
        {"a_1": AnnotationFiles("volume", (file,))}, [unknown]
    )


@pytest.mark.parametrize(
    "names",
    [("a.mhd", "a.RAW"), ("a.MHD", "a.zraw"), ("a.nhdr", "a.raw"), ("a.NHDR", "a.raw.gz")],
)
def test_voxels_of_headers_are_passed_over(campaign: Campaign, names: tuple[str, str]) -> None:
    header, _ = touch(campaign, *names)
    assert find_annotations(campaign) == FoundAnnotations(
        {"a": AnnotationFiles("volume", (header,))}
    )


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
        (("a_slice03.png", "a_slice3.png"), "slice 3 of a"),
        (("a/1.dcm", "a/2.dcm"), "a"),
    ],
)
def test_two_annotations_are_a_problem_of_their_case(
    tmp_path: Path, names: tuple[str, str], place: str
) -> None:
    image = placed(np.zeros(SHAPE))
    campaign = make_campaign(tmp_path / "c", {"a": image, "b": image})
    first, second, other = touch(campaign, *names, "b.nrrd")
    problem = f"{first} and {second} both annotate {place}; keep one"
    assert find_annotations(campaign) == FoundAnnotations(
        {"b": AnnotationFiles("volume", (other,))}, problems={"a": problem}
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a_slice4.png", "slices"),
        ("a.seg.nrrd", "slicer"),
        ("a/x.dcm", "dicom"),
        ("a.nii", "volume"),
        ("a.nrrd", "volume"),
    ],
)
@pytest.mark.parametrize("label", ["a.nii.gz", "a.NII.GZ"])
def test_untouched_label_gives_way(campaign: Campaign, label: str, name: str, kind: str) -> None:
    save(campaign, "x.nii.gz", placed(untouched())).rename(campaign.folder / "labels" / label)
    (file,) = touch(campaign, name)
    found = find_annotations(campaign).cases["a"]
    assert (found.kind, found.files) == (kind, (file,))


def test_what_is_read_beside_an_untouched_label(campaign: Campaign) -> None:
    save(campaign, "a.nii.gz", placed(untouched(), "RAI"))
    draw(campaign, "a_slice3.png", MASK)
    draw(campaign, "a_slice4.png", MASK)
    check(campaign, label_of(s3=MASK, s4=MASK))


def test_untouched_label_alone_is_the_annotation(campaign: Campaign) -> None:
    save(campaign, "a.nii.gz", placed(untouched()))
    check(campaign, untouched())


@pytest.mark.parametrize(("slice_index", "value"), [(4, 1), (4, IGNORE), (3, 0), (3, 2)], ids=str)
def test_label_with_a_touched_voxel_does_not_give_way(
    campaign: Campaign, slice_index: int, value: int
) -> None:
    label = untouched()
    label[slice_index, 7, 9] = value
    save(campaign, "a.nii.gz", placed(label))
    draw(campaign, "a_slice4.png", MASK)
    refused(campaign, "a.nii.gz and .*a_slice4.png both annotate a; keep one")


def test_label_on_other_voxels_does_not_give_way(campaign: Campaign) -> None:
    save(campaign, "a.nii.gz", placed(untouched(), origin=(0, 0, 0)))
    draw(campaign, "a_slice4.png", MASK)
    refused(campaign, "a.nii.gz and .*a_slice4.png both annotate a")


@pytest.mark.parametrize(
    ("label", "names", "message"),
    [
        (
            "a.nii.gz",
            ("a.seg.nrrd", "a_slice4.png"),
            "a.seg.nrrd and .*slice4.png both annotate a;",
        ),
        ("a.nii.gz", ("a.mha", "a.nrrd"), "a.mha and .*a.nrrd both annotate a;"),
        ("a.nii.gz", ("a.dcm", "a/x.dcm"), "a.x.dcm and .*a.dcm both annotate a;"),
        ("a.nii.gz", ("a_slice04.png", "a_slice4.bmp"), "both annotate slice 4 of a;"),
        ("a.nrrd", ("a.seg.nrrd",), "a.nrrd and .*a.seg.nrrd both annotate a;"),
    ],
)
def test_untouched_label_leaves_other_doubts(
    campaign: Campaign, label: str, names: tuple[str, ...], message: str
) -> None:
    save(campaign, label, placed(untouched()))
    touch(campaign, *names)
    refused(campaign, message)


def untouched() -> np.ndarray:
    return label_of().astype(np.uint8)


@pytest.mark.parametrize("later", [{"a": (2,)}, {"b": (2,)}])
def test_label_untouched_since_an_earlier_round_gives_way(
    campaign: Campaign, later: dict[str, tuple[int, ...]]
) -> None:
    save(campaign, "a.nii.gz", placed(untouched()))
    (file,) = touch(campaign, "a.nii")
    more = campaign.with_round(replace(campaign.rounds[0], slices=later))
    assert find_annotations(more).cases["a"].files == (file,)


def test_image_that_cannot_be_read_is_a_problem_of_its_case(campaign: Campaign) -> None:
    save(campaign, "a.nii.gz", placed(untouched()))
    touch(campaign, "a.nii")
    campaign.image_files("a")[0].write_bytes(b"")
    assert "a_0000.nii.gz cannot be read" in find_annotations(campaign).problems["a"]


def test_segmentation_finds_the_image_that_it_lies_on(tmp_path: Path) -> None:
    series, image = write_dicom_series(tmp_path / "series")
    other = write_dicom_series(tmp_path / "other", origin=(0, 0, 0.7))[1]
    campaign = make_campaign(tmp_path / "c", {"a": other, "b": image})
    file = campaign.folder / "labels" / "export 17.dcm"
    write_dicom_segmentation(file, series, BOTH_ASKED)
    assert find_annotations(campaign).cases == {"b": AnnotationFiles("dicom", (file,))}


@pytest.mark.parametrize(("cases", "where"), [("ab", "the images of a, b"), ("c", "no image")])
def test_segmentation_of_no_or_two_images_is_told(tmp_path: Path, cases: str, where: str) -> None:
    series, image = write_dicom_series(tmp_path / "series")
    other = placed(np.zeros(SHAPE), origin=(0, 0, 0.7))
    campaign = make_campaign(tmp_path / "c", {c: other if c == "c" else image for c in cases})
    write_dicom_segmentation(campaign.folder / "labels" / "x.dcm", series, BOTH_ASKED)
    (file,) = touch(campaign, f"{cases[0]}.nrrd")
    found = find_annotations(campaign)
    assert found.cases == {cases[0]: AnnotationFiles("volume", (file,))}
    ((file, reason),) = found.unusable.items()
    assert f"{file} lies on the voxels of {where}; call it CASE.dcm after" in reason


def test_dicom_file_that_cannot_be_read_is_told(campaign: Campaign) -> None:
    (file,) = touch(campaign, "x.dcm")
    found = find_annotations(campaign)
    assert found == FoundAnnotations({}, unusable={file: found.unusable[file]})
    assert f"{file} cannot be read as a DICOM segmentation" in found.unusable[file]
