import gzip
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from campaign.annotator import read_rows
from campaign.scans import SHAPE, scan, write_scans
from conftest import BaseMaker
from published_trees import write_series
from tiny import write_volume

from nnunet_sparse.campaign import make_campaign as make_module
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.worklist_command import main
from nnunet_sparse.data.geometry import read_spacing


def make(*options: str, source: str = "scans", folder: str = "campaign") -> int:
    return main(["make", source, "-o", folder, "-np", "1", "--labels", "ball", *options])


@pytest.fixture
def scans(no_paths: Path) -> Path:
    return write_scans(no_paths / "scans", "ab")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_folder_that_is_no_campaign(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (scans.parent / "other").mkdir()
    (scans.parent / "other" / "notes.txt").touch()
    assert make("--rho", "0.2", folder="other") == 2
    assert "other exists and is no campaign" in capsys.readouterr().err
    assert names(scans.parent / "other") == {"notes.txt"}
    (scans.parent / "empty").mkdir()
    assert make("--rho", "0.2", folder="empty") == 0


def test_folders_that_are_made_on_the_way(scans: Path) -> None:
    assert make("--budget", "99", folder="new/dir/c") == 2
    assert names(scans.parent) == {"scans", "truth"}
    (scans.parent / "new").mkdir()
    assert make("--budget", "99", folder="new/dir/c") == 2
    assert names(scans.parent / "new") == set()
    assert make("--budget", "9", folder="new/dir/c") == 0
    assert names(scans.parent / "new" / "dir") == {"c"}


@pytest.mark.parametrize("folder", ["file/c", "file/deep/c"])
def test_a_file_where_folders_must_be(
    scans: Path, capsys: pytest.CaptureFixture[str], folder: str
) -> None:
    (scans.parent / "file").touch()
    assert make("--rho", "0.2", folder=folder) == 2
    assert capsys.readouterr().err == f"error: {scans.parent / 'file'} is no folder\n"


@pytest.mark.parametrize("folder", ["link/c", "link/deep/c"])
def test_a_broken_link_where_folders_must_be(
    scans: Path, capsys: pytest.CaptureFixture[str], folder: str
) -> None:
    (scans.parent / "link").symlink_to("gone")
    assert make("--rho", "0.2", folder=folder) == 2
    assert capsys.readouterr().err == f"error: {scans.parent / 'link'} is no folder\n"
    assert not (scans.parent / "gone").exists()


@pytest.mark.usefixtures("scans")
@pytest.mark.parametrize(
    ("options", "warned"), [(["--s", "0.5"], 1), (["--s", "0.5", "--dry_run"], 1), ([], 0)]
)
def test_one_volume_is_too_few(
    caplog: pytest.LogCaptureFixture, options: list[str], warned: int
) -> None:
    assert make("--rho", "0.2", *options) == 0
    assert caplog.text.count("1 volume gets slices; nnU-Net needs 2 annotated ones") == warned


def test_a_damaged_table_of_weights(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (scans.parent / "w.csv").write_text('case,weight\na,"' + 140_000 * "1")
    assert make("--rho", "0.2", "--weights", "w.csv") == 2
    assert "w.csv, line 2: field larger than" in capsys.readouterr().err


def test_a_dry_run_reads_headers_only(
    scans: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_series(scans / "series", np.zeros(SHAPE))
    (scans / "b.nii.gz").unlink()
    write_volume(scans / "b.mha", scan(0)[0])
    with monkeypatch.context() as patch:
        patch.setattr(make_module, "bring_image", None)
        assert make("--budget", "7", "--dry_run") == 0
    shown = capsys.readouterr().out
    assert make("--budget", "7") == 0
    for case_id in ("a", "b", "series"):
        rows = [r["slice"] for r in read_rows(scans.parent / "campaign") if r["case"] == case_id]
        asked = " ".join(sorted(rows, key=int))
        assert f"  {case_id}: {len(rows)} of 12: {asked}\n" in shown


def test_an_image_with_damaged_voxels_is_named_as_the_user_knows_it(
    scans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray((scans / "b.nii.gz").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 60] = 60 * b"U"
    (scans / "b.nii.gz").write_bytes(content)
    assert make("--rho", "0.2") == 2
    error = capsys.readouterr().err
    assert "scans/b.nii.gz" in error
    assert ".nnsparse" not in error
    assert names(scans.parent) == {"scans", "truth"}


def test_channels_on_different_voxels(no_paths: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_volume(no_paths / "scans" / "a_0000.nii.gz", np.zeros((4, 5, 6), np.float32))
    write_volume(no_paths / "scans" / "a_0001.nii.gz", np.zeros((4, 5, 7), np.float32))
    for options in ([], ["--dry_run"]):
        assert make("--rho", "0.5", "--channels", "T1", "T2", *options) == 2
        message = (
            "scans/a_0001.nii.gz has shape (4, 5, 7) (z, y, x), channel 0 of scans/a_0000.nii.gz"
        )
        assert message in capsys.readouterr().err


def test_a_volume_that_only_nibabel_reads(scans: Path) -> None:
    sheared = np.eye(4)
    sheared[0, 1] = 0.4
    nibabel.save(nibabel.Nifti1Image(scan(0)[0].T, sheared), scans / "c.nii.gz")
    assert make("--rho", "0.2") == 0
    found = Campaign.read(scans.parent / "campaign")
    assert found.dataset["overwrite_image_reader_writer"] == "NibabelIO"


def test_endings_in_capitals(scans: Path) -> None:
    (scans / "a.nii.gz").rename(scans / "A.NII.GZ")
    assert make("--rho", "0.2", "--copy") == 0
    image = scans.parent / "campaign" / "images" / "A_0000.nii.gz"
    assert image.read_bytes() == (scans / "A.NII.GZ").read_bytes()
    assert len(gzip.decompress(image.read_bytes())) == 352 + 4 * np.prod(SHAPE)


def test_a_data_set_of_tiff_files(
    make_base: BaseMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = make_base(num_train=2, ending=".tif")
    shutil.rmtree(base / "labelsTr")
    (base / "imagesTr" / "tr_00.json").write_text('{"spacing": [3.0, 0.5, 0.25]}')
    (base / "imagesTr" / "tr_01.json").write_text('{"spacing": [3.0, 0.5, 0.25]}')
    command = ["make", str(base), "-o", str(tmp_path / "c"), "--budget", "4", "-np", "1"]
    assert main([*command, "--dry_run"]) == 0
    assert main(command) == 0
    assert capsys.readouterr().out.count("volumes:    2, 17 axial slices along axis 0") == 2
    for case_id in ("tr_00", "tr_01"):
        image = tmp_path / "c" / "images" / f"{case_id}_0000.nii.gz"
        assert read_spacing(image, "SimpleITKIO") == pytest.approx((3.0, 0.5, 0.25))
