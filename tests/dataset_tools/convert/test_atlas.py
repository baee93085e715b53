"""ATLAS R2.0: BIDS names, axes, sessions, what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from published_trees import atlas_arrays, atlas_tree, volume, write_nifti
from tiny import array

from nnunet_sparse.dataset_tools.convert.convert_command import main_atlas
from nnunet_sparse.dataset_tools.convert.published_tasks import PUBLISHED_TASKS
from nnunet_sparse.dataset_tools.convert.target_grid import target_grid
from nnunet_sparse.system.paths import NnUNetPaths

SIZE = ["--size", "7", "12", "11"]
FIRST = Path("Training/R001/sub-r001s001/ses-1/anat/sub-r001s001_ses-1_space-MNI152NLin2009aSym")
MASK = "_label-L_desc-T1lesion_mask.nii.gz"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return atlas_tree(tmp_path / "ATLAS_2")


def beside(source: Path, ending: str) -> Path:
    return Path(f"{source / FIRST}{ending}")


def test_converts_to_the_padded_template(paths: NnUNetPaths, source: Path) -> None:
    assert main_atlas([str(source), *SIZE, "-np", "1"]) == 0
    folder = paths.raw / "Dataset500_ATLAS"
    content = json.loads((folder / "dataset.json").read_text("utf-8"))
    assert content["channel_names"] == {"0": "T1"}
    assert content["labels"] == {"background": 0, "lesion": 1}
    image, label = atlas_arrays()  # 7 x 9 x 8: padded by 2 + 1 rows and 2 + 1 columns
    for case_id in ("sub-r001s001_ses-1", "sub-r001s002_ses-1", "sub-r009s001_ses-1"):
        (file,) = folder.glob(f"images*/{case_id}_0000.nii.gz")
        expected = np.zeros((7, 12, 11), np.float32)
        expected[:, 2:11, 2:10] = image
        np.testing.assert_array_equal(array(file), expected)
        assert sitk.ReadImage(str(file)).GetOrigin() == (-98 - 2, -98 - 2, -72)
        (file,) = folder.glob(f"labels*/{case_id}.nii.gz")
        np.testing.assert_array_equal(array(file)[:, 2:11, 2:10], label)
        assert array(file).sum() == label.sum()
    report = json.loads((folder / "conversion.json").read_text("utf-8"))
    assert list(report["left_out"]) == ["sub-r002s001_ses-1"]
    assert "is a test image without mask" in report["left_out"]["sub-r002s001_ses-1"]


def test_paper_size_for_the_template() -> None:
    """The template has 197 x 233 x 189 voxels (x, y, z)."""
    task, template = PUBLISHED_TASKS["atlas"], sitk.Image(197, 233, 189, sitk.sitkUInt8)
    template.SetOrigin((-98, -98, -72))
    grid = target_grid(template, np.zeros((189, 233, 197), bool), task.spacing_mm, task.size)
    assert grid.size == (189, 256, 224)
    assert grid.placed_along(template) == ((-98 - 14, -98 - 12, -72), (1, 1, 1))


def test_sessions_of_a_patient_stay_together(paths: NnUNetPaths, source: Path) -> None:
    image, label = atlas_arrays()
    for session in ("ses-2", "ses-3"):
        folder = source / "Training/R001/sub-r001s001" / session / "anat"
        stem = f"{folder}/sub-r001s001_{session}_space-MNI152NLin2009aSym"
        write_nifti(volume(image), Path(f"{stem}_T1w.nii.gz"))
        write_nifti(volume(label), Path(f"{stem}{MASK}"))
    for seed in range(2):
        name = f"ATLAS{seed}"
        assert main_atlas([str(source), *SIZE, "-np", "1", "--seed", f"{seed}", "-o", name]) == 0
        (file,) = paths.preprocessed.glob(f"*_{name}/nnsparse_split.json")
        split = json.loads(file.read_text("utf-8"))
        parts = [sum("r001s001" in c for c in split[part]) for part in ("train", "val", "test")]
        assert sorted(parts) == [0, 0, 3]


def moved(source: Path) -> None:
    label = volume(atlas_arrays()[1], origin=(-97, -98, -72), axes="RAS")
    write_nifti(label, beside(source, MASK))


def relabelled(source: Path) -> None:
    label = volume(atlas_arrays()[1] * 255, origin=(-98, -98, -72))
    write_nifti(label, beside(source, MASK))


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no mask": (
        lambda source: beside(source, MASK).unlink(),
        "sub-r001s001_ses-1_space-MNI152NLin2009aSym_T1w.nii.gz has no lesion mask",
    ),
    "no image": (lambda source: beside(source, "_T1w.nii.gz").unlink(), "has no image"),
    "mask elsewhere": (moved, "lies elsewhere than its image"),
    "mask of 255": (relabelled, "holds the label value 255; expected 0, 1"),
    "twice": (
        lambda source: write_nifti(
            volume(atlas_arrays()[0]), source / "copy" / beside(source, "_T1w.nii.gz").name
        ),
        "are the same case",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_trees_are_refused(
    paths: NnUNetPaths, source: Path, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    harm, message = BROKEN[what]
    harm(source)
    assert main_atlas([str(source), *SIZE, "-np", "1"]) == 2
    assert message in capfd.readouterr().err
    assert list(paths.raw.iterdir()) == []


def test_folders_without_masks(source: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main_atlas([str(source / "Testing"), "--dry_run"]) == 2
    assert "no case with image and label is left" in capfd.readouterr().err
    assert main_atlas([str(source.parent / "ATLAS_2" / "Training" / "R001"), "--dry_run"]) == 2
    assert "2 cases are too few" in capfd.readouterr().err
    (source / "empty").mkdir()
    assert main_atlas([str(source / "empty")]) == 2
    assert "_T1w.nii.gz, as ATLAS R2.0 has them" in capfd.readouterr().err
