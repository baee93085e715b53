import json
import os
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from failures import fail_once_to_name
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from tiny import read_json, tree

from nnunet_sparse.dataset_tools import make_phantom as module
from nnunet_sparse.dataset_tools.make_phantom import main, make_phantom, to_images
from nnunet_sparse.phantoms import make_case
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths

SHAPE = (8, 32, 36)
SMALL: dict[str, Any] = {"shape": SHAPE, "num_train": 2, "num_test": 1}
SMALL_ARGS = ["--shape", "8", "32", "36", "--num_train", "2", "--num_test", "1", "-np", "1"]


def test_writes_a_raw_data_set_of_nnunet(paths: NnUNetPaths) -> None:
    name = make_phantom(paths, "lesion", **SMALL)
    assert name == "Dataset500_PhantomLesion"
    folder = paths.raw / name
    assert sorted(f for f in tree(folder) if "." in f) == [
        "dataset.json",
        "imagesTr/lesion_0000_0000.nii.gz",
        "imagesTr/lesion_0001_0000.nii.gz",
        "imagesTs/lesion_test_0000_0000.nii.gz",
        "labelsTr/lesion_0000.nii.gz",
        "labelsTr/lesion_0001.nii.gz",
        "labelsTs/lesion_test_0000.nii.gz",
    ]
    content = json.loads((folder / "dataset.json").read_text("utf-8"))
    assert content["channel_names"] == {"0": "CT"}
    assert content["labels"] == {"background": 0, "liver": 1, "tumour": 2}
    assert (content["numTraining"], content["file_ending"]) == (2, ".nii.gz")
    assert content["nnsparse"] == {"roles": {"context": ["liver"]}}
    case = make_case("lesion", 0, 1, SHAPE)
    image, _ = SimpleITKIO().read_images([str(folder / "imagesTr/lesion_0001_0000.nii.gz")])
    label, _ = SimpleITKIO().read_seg(str(folder / "labelsTr/lesion_0001.nii.gz"))
    np.testing.assert_array_equal(image[0], case.image)
    np.testing.assert_array_equal(label[0], case.label)
    assert sorted(p.name for p in paths.raw.iterdir()) == [name]


@pytest.mark.slow  # starts processes
def test_cases_depend_neither_on_their_number_nor_on_the_processes(paths: NnUNetPaths) -> None:
    few = make_phantom(paths, "tree", name="Few", **SMALL)
    many = make_phantom(
        paths, "tree", name="Many", shape=SHAPE, num_train=3, num_test=2, num_processes=2
    )
    few_files, many_files = tree(paths.raw / few), tree(paths.raw / many)
    del few_files["dataset.json"]
    assert few_files == {name: many_files[name] for name in few_files}


def test_same_call_again_changes_nothing_and_another_one_is_refused(paths: NnUNetPaths) -> None:
    name = make_phantom(paths, "organ", **SMALL)
    before = tree(paths.raw)
    assert make_phantom(paths, "organ", **SMALL) == name
    assert make_phantom(paths, "organ", dataset_id=500, **SMALL) == name
    with pytest.raises(SparseError, match="exists with other content"):
        make_phantom(paths, "organ", seed=1, **SMALL)
    assert tree(paths.raw) == before
    assert make_phantom(paths, "organ", seed=1, overwrite=True, **SMALL) == name
    assert tree(paths.raw).keys() == before.keys()
    assert tree(paths.raw) != before


def test_what_differs_between_volumes_is_asked_for(paths: NnUNetPaths) -> None:
    plain = make_phantom(paths, "organ", **SMALL)
    varied = make_phantom(paths, "organ", name="Varied", variation=0.5, drawn_slices=24, **SMALL)
    parameters = [read_json(paths.raw / name / "dataset.json") for name in (plain, varied)]
    asked = [content["nnsparse_phantom"] for content in parameters]
    # as data sets from before have it
    assert not {"variation", "drawn_slices"} & asked[0].keys()
    assert (asked[1]["variation"], asked[1]["drawn_slices"]) == (0.5, 24)
    case = make_case("organ", 0, 1, SHAPE, variation=0.5, drawn_slices=24)
    label, _ = SimpleITKIO().read_seg(str(paths.raw / varied / "labelsTr/organ_0001.nii.gz"))
    np.testing.assert_array_equal(label[0], case.label)
    with pytest.raises(SparseError, match="exists with other content"):
        make_phantom(paths, "organ", name="Varied", variation=0.4, drawn_slices=24, **SMALL)


def test_overwrite_spares_what_is_no_phantom(paths: NnUNetPaths) -> None:
    folder = paths.raw / "Dataset004_PhantomOrgan"
    folder.mkdir()
    (folder / "dataset.json").write_text("{}")
    with pytest.raises(SparseError, match="is not a phantom"):
        make_phantom(paths, "organ", overwrite=True, **SMALL)
    assert (folder / "dataset.json").read_text("utf-8") == "{}"


def test_no_test_cases(paths: NnUNetPaths) -> None:
    name = make_phantom(paths, "subtle", shape=SHAPE, num_train=1, num_test=0, dataset_id=7)
    assert name == "Dataset007_PhantomSubtle"
    assert not (paths.raw / name / "imagesTs").exists()


# axes x, y, z of the file: direction cosines by hand (LPS), one column per axis
@pytest.mark.parametrize(
    ("orientation", "direction", "slice_axis", "rising"),
    [
        ("LPS", [[1, 0, 0], [0, 1, 0], [0, 0, 1]], 0, True),
        ("RAS", [[-1, 0, 0], [0, -1, 0], [0, 0, 1]], 0, True),
        ("LPI", [[1, 0, 0], [0, 1, 0], [0, 0, -1]], 0, False),
        ("LSP", [[1, 0, 0], [0, 0, 1], [0, 1, 0]], 1, True),
        ("sal", [[0, 0, 1], [0, -1, 0], [1, 0, 0]], 2, True),
    ],
)
def test_anatomy_stays_in_place_in_any_orientation(
    paths: NnUNetPaths,
    orientation: str,
    direction: list[list[int]],
    slice_axis: int,
    rising: bool,
) -> None:
    name = make_phantom(
        paths, orientation=orientation, spacing_mm=(4.0, 2.0, 1.0), num_test=0, num_train=1,
        shape=SHAPE,
    )  # fmt: skip
    stored = sitk.ReadImage(str(paths.raw / name / "labelsTr" / "lesion_0000.nii.gz"))
    np.testing.assert_allclose(np.reshape(stored.GetDirection(), (3, 3)), direction, atol=1e-6)
    label = make_case("lesion", 0, 0, SHAPE, (4.0, 2.0, 1.0)).label
    areas = (sitk.GetArrayFromImage(stored) > 0).sum(
        axis=tuple(axis for axis in range(3) if axis != slice_axis)
    )
    expected = (label > 0).sum(axis=(1, 2))
    assert areas.tolist() == (expected if rising else expected[::-1]).tolist()
    assert stored.GetSpacing()[2 - slice_axis] == pytest.approx(4)
    # a voxel is at the same place in the patient, whatever the order of the axes
    z, y, x = (int(i) for i in np.argwhere(label > 0)[0])
    place = ((x - 17.5) * 1, (y - 15.5) * 2, (z - 3.5) * 4)
    assert stored[stored.TransformPhysicalPointToIndex(place)] == label[z, y, x]


def test_oblique_stack_is_tilted_about_the_left_right_axis() -> None:
    image, _ = to_images(make_case("tree", 0, 0, SHAPE), "LPS", 30)
    expected = [1, 0, 0, 0, np.sqrt(0.75), -0.5, 0, 0.5, np.sqrt(0.75)]
    np.testing.assert_allclose(image.GetDirection(), expected, atol=1e-9)
    centre = image.TransformContinuousIndexToPhysicalPoint([17.5, 15.5, 3.5])
    np.testing.assert_allclose(centre, 0, atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["liver"], "unknown phantom task 'liver'"),
        (["--shape", "8", "16", "16"], "at least 8 x 32 x 32 (z, y, x), got 8 x 16 x 16"),
        (["--spacing", "1", "-1", "1"], "got 1.0 x -1.0 x 1.0"),
        (["--num_train", "0"], "argument --num_train: must be a whole number of at least 1"),
        (["--num_test", "-1"], "argument --num_test: must be a whole number of at least 0"),
        (["--orientation", "LLS"], "orientation must be three letters"),
        (["--orientation", "XPS"], "got 'XPS'"),
        (["--oblique", "50"], "within 40 degrees of 0, got 50"),
        (["--variation", "3"], "variation must lie in [0, 2], got 3"),
        (["--drawn_slices", "12"], "a multiple of the 8 slices of the shape, got 12"),
        (["--id", "1000"], "between 1 and 999, got 1000"),
        (["--id", "4"], "ID 4 is taken by Dataset004_Other"),
        (["--name", "../away"], "got '../away'"),
        (["--name", "Dataset004_Twice"], "without DatasetXXX_"),
    ],
)
def test_bad_input_ends_with_one_line_and_leaves_nothing(
    paths: NnUNetPaths,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    (paths.raw / "Dataset004_Other").mkdir()
    try:
        status = main([*SMALL_ARGS, *arguments])
    except SystemExit as stop:  # argparse's own way out
        status = int(stop.code or 0)
    error = capfd.readouterr().err
    assert status == 2
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert [p.name for p in paths.raw.iterdir()] == ["Dataset004_Other"]


def test_failure_while_writing_leaves_nothing(
    paths: NnUNetPaths, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def half_written(_: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nibabel, "save", half_written)
    assert main([*SMALL_ARGS, "tree"]) == 2
    assert ".nii.gz: No space left on device" in capfd.readouterr().err
    assert list(paths.raw.iterdir()) == []


def test_failed_overwrite_keeps_the_old_data_set(
    paths: NnUNetPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_phantom(paths, "tree", **SMALL)
    before = tree(paths.raw)

    def fail(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(module, "write_json", fail)
    with pytest.raises(OSError, match="no space"):
        make_phantom(paths, "tree", seed=2, overwrite=True, **SMALL)
    assert tree(paths.raw) == before


def test_the_old_data_set_is_put_back_where_the_new_one_cannot_have_its_name(
    paths: NnUNetPaths, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    name = make_phantom(paths, "tree", **SMALL)
    before = tree(paths.raw)
    fail_once_to_name(monkeypatch, paths.raw / name)
    assert main(["tree", *SMALL_ARGS, "--seed", "2", "--overwrite"]) == 2
    assert "Input/output error" in capfd.readouterr().err
    # the new one, complete and hidden, waits for the next call
    now = tree(paths.raw)
    assert {key: value for key, value in now.items() if key[0] != "."} == before
    assert main(["tree", *SMALL_ARGS, "--seed", "2", "--overwrite"]) == 0
    assert tree(paths.raw).keys() == before.keys()
    assert tree(paths.raw) != before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder(paths: NnUNetPaths, capfd: pytest.CaptureFixture[str]) -> None:
    paths.raw.chmod(0o555)
    assert main(SMALL_ARGS) == 2
    paths.raw.chmod(0o755)
    assert "Permission denied" in capfd.readouterr().err


def test_works_on_a_machine_with_nothing_set_up(
    no_paths: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["organ", *SMALL_ARGS]) == 0
    folder = no_paths / "nnsparse_data/nnUNet_raw/Dataset500_PhantomOrgan"
    assert capfd.readouterr().out == f"Dataset500_PhantomOrgan\n{folder}\n"
    assert (folder / "dataset.json").is_file()


def test_what_a_killed_call_left_is_removed(paths: NnUNetPaths) -> None:
    for number, name in ((500, "PhantomTree"), (501, "Other")):
        left = paths.raw / f".nnsparse_partial_{number}"
        left.mkdir()
        (left / ".nnsparse_phantom").write_text(name)
    assert make_phantom(paths, "tree", **SMALL) == "Dataset500_PhantomTree"
    assert sorted(p.name for p in paths.raw.iterdir()) == [
        ".nnsparse_partial_501",
        "Dataset500_PhantomTree",
    ]
