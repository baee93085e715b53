"""Images with two positions, through all commands that read images and labels."""

import itertools
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from nifti_forms import IN_ORDER, OTHER_PLACES, PLACE, REORDERING, SHAPE, save_forms, save_label

from nnunet_sparse.campaign.import_command import main as import_main
from nnunet_sparse.campaign.worklist_command import main as worklist
from nnunet_sparse.data.geometry import read_geometry
from nnunet_sparse.data.same_voxels import check_same_voxels
from nnunet_sparse.dataset_tools.make_dataset_command import main as make_dataset
from nnunet_sparse.doctor.examine import examine
from nnunet_sparse.doctor.finding import Finding
from nnunet_sparse.doctor.subject import open_subject
from nnunet_sparse.evaluation.evaluate import main as evaluate
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths

# qform, sform, codes; one or both missing, and sizes that are not those of the sform
KINDS = {
    **{
        name: (PLACE, OTHER_PLACES[name], (1, 2))
        for name in ("mirrored", "turned", "shifted by a voxel", "scaled")
    },
    "no codes": (PLACE, PLACE, (0, 0)),
    "pixdim": (np.eye(4), PLACE, (0, 1)),
}
CASES = ("a", "b", "c", "d")
LABEL = np.zeros(SHAPE, np.uint8)
LABEL[1:3, 2:4, 1:6] = 1
LABEL[0, 0, 3] = 1  # no two directions alike


def image_of(folder: Path, case_id: str, kind: str, ending: str = "_0000.nii.gz") -> Path:
    voxels = np.random.default_rng(3).normal(size=SHAPE).astype(np.float32)
    return save_forms(folder / f"{case_id}{ending}", voxels, *KINDS[kind])


def make_base(paths: NnUNetPaths, kind: str, program: str, ignore: int | None = None) -> Path:
    folder = paths.raw / "Dataset001_Forms"
    for case_id in CASES:
        image = image_of(folder / "imagesTr", case_id, kind)
        label = (IN_ORDER | REORDERING)[program](image, LABEL)
        save_label(folder / "labelsTr" / f"{case_id}.nii.gz", label)
    labels = {"background": 0, "organ": 1} | ({} if ignore is None else {"ignore": ignore})
    content = {"channel_names": {"0": "MR"}, "labels": labels, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps({**content, "numTraining": len(CASES)}))
    return folder


@pytest.mark.parametrize("program", ["nibabel", "ITK"])
@pytest.mark.parametrize("kind", KINDS)
def test_data_sets_are_made_and_scored(
    paths: NnUNetPaths,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    kind: str,
    program: str,
) -> None:
    base = make_base(paths, kind, program)
    assert make_dataset(["-d", "1", "--rho", "0.5", "-np", "1"]) == 0
    assert "programs see 4 of 4 images at different places" in caplog.text
    (made,) = paths.raw.glob("Dataset5*")
    for file in (made / "labelsTr").iterdir():
        label = np.asanyarray(nibabel.load(file).dataobj)
        shown = label != 2
        assert shown.any()
        np.testing.assert_array_equal(label[shown], LABEL[shown])
    other = next(p for p in ("ITK", "nibabel") if p != program)
    for case_id in CASES:  # saved by the other reading than the ground truth
        image = base / "imagesTr" / f"{case_id}_0000.nii.gz"
        save_label(tmp_path / "pred" / f"{case_id}.nii.gz", IN_ORDER[other](image, LABEL))
    folders = [str(base / "labelsTr"), str(tmp_path / "pred")]
    assert evaluate([*folders, "-np", "1"]) == 0
    (base / "dataset.json").rename(tmp_path / "pred" / "dataset.json")
    capsys.readouterr()
    if kind != "no codes":  # where nobody knows the image, the two lie elsewhere
        assert evaluate([*folders, "-np", "1", "--overwrite"]) == 2
        assert "lies elsewhere than its ground truth" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "program"),
    [
        *itertools.product(KINDS, ["nibabel", "ITK"]),
        ("mirrored", "nibabel, with the image's header"),
        ("no codes", "nibabel, with the image's header"),
    ],
)
def test_campaigns_are_made_and_imported(
    paths: NnUNetPaths,
    no_paths: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    program: str,
) -> None:
    for name, value in paths.environment().items():
        monkeypatch.setenv(name, value)
    for case_id in ("a", "b"):
        image_of(no_paths / "scans", case_id, kind, ".nii.gz")
    options = ["--labels", "organ", "--slices_per_volume", "2", "--axis", "0", "-np", "1"]
    make = ["make", "scans", "-o", "camp", "--selector", "fixed", *options]
    for arguments in ([*make, "--dry_run"], make):
        assert worklist(arguments) == 0
        assert caplog.text.count("programs see 2 of 2 images at different places") == 1
        caplog.clear()
    expected = {}
    for case_id in ("a", "b"):
        file = no_paths / "camp" / "labels" / f"{case_id}.nii.gz"
        prefilled = np.asanyarray(nibabel.load(file).dataobj)
        expected[case_id] = np.where(prefilled == 0, LABEL, prefilled)
        image = no_paths / "camp" / "images" / f"{case_id}_0000.nii.gz"
        save_label(file, IN_ORDER[program](image, expected[case_id]))
    assert import_main(["camp", "-np", "1"]) == 0
    (made,) = paths.raw.glob("Dataset*")
    for case_id, label in expected.items():
        found = nibabel.load(made / "labelsTr" / f"{case_id}.nii.gz")
        np.testing.assert_array_equal(np.asanyarray(found.dataobj), label)
        image = nibabel.load(made / "imagesTr" / f"{case_id}_0000.nii.gz")
        assert found.header["qform_code"] == image.header["qform_code"]
        np.testing.assert_array_equal(found.affine, image.affine)


def doctor(paths: NnUNetPaths) -> Finding | None:
    report = examine(open_subject(paths, "1", None, None), "SparseTrainer")
    return next((f for f in report.findings if f.check == "positions"), None)


@pytest.mark.parametrize(("kind", "text"), [("mirrored", "left-right"), ("turned", "12 degrees")])
def test_the_doctor_tells_of_two_positions(paths: NnUNetPaths, kind: str, text: str) -> None:
    make_base(paths, kind, "nibabel", ignore=2)
    finding = doctor(paths)
    assert finding is not None
    assert (finding.verdict, finding.number) == ("warning", 4)
    assert text in finding.found


def test_the_doctor_tells_of_labels_that_lie_elsewhere(paths: NnUNetPaths) -> None:
    base = make_base(paths, "mirrored", "nibabel", ignore=2)
    image = base / "imagesTr" / "b_0000.nii.gz"
    save_label(base / "labelsTr" / "b.nii.gz", REORDERING["ITK, RAS"](image, LABEL))
    finding = doctor(paths)
    assert finding is not None
    assert finding.verdict == "broken"
    assert set(finding.details["elsewhere"]) == {"b"}


def test_the_doctor_has_nothing_to_say_of_sound_headers(paths: NnUNetPaths) -> None:
    base = make_base(paths, "mirrored", "nibabel", ignore=2)
    for file in base.glob("*Tr/*.nii.gz"):
        nibabel.save(nibabel.Nifti1Image(np.asanyarray(nibabel.load(file).dataobj), PLACE), file)
    assert doctor(paths) is None


@pytest.mark.parametrize("program", sorted(REORDERING))
@pytest.mark.parametrize("kind", ["mirrored", "turned", "no codes"])
def test_labels_in_another_order_are_never_taken_as_they_are(
    tmp_path: Path, kind: str, program: str
) -> None:
    image = image_of(tmp_path, "a", kind)
    file = save_label(tmp_path / "a.nii.gz", REORDERING[program](image, LABEL))
    geometry, of_image = (read_geometry(path, "SimpleITKIO") for path in (file, image))
    if np.array_equal(np.asanyarray(nibabel.load(file).dataobj), LABEL):
        check_same_voxels(file, geometry, image, of_image, "its image")
    else:
        with pytest.raises(SparseError, match=r"elsewhere than its image|has shape"):
            check_same_voxels(file, geometry, image, of_image, "its image")


def test_the_message_says_that_the_forms_disagree(tmp_path: Path) -> None:
    image = image_of(tmp_path, "a", "turned")
    label = sitk.GetImageFromArray(LABEL.T)
    file = save_label(tmp_path / "a.nii.gz", label)
    geometry, of_image = (read_geometry(path, "SimpleITKIO") for path in (file, image))
    with pytest.raises(SparseError, match=r"sform of a_0000\.nii\.gz disagree: turned by"):
        check_same_voxels(file, geometry, image, of_image, "its image")
