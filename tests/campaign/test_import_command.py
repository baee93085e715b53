import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from campaign.annotator import edit, load, read_rows, write_rows
from campaign.made_campaigns import CampaignCopier
from campaign.scans import SHAPE
from file_times import date_back, written_since
from PIL import Image

from nnunet_sparse.campaign import import_campaign as import_module
from nnunet_sparse.campaign.import_command import main
from nnunet_sparse.campaign.worklist_command import main as worklist
from nnunet_sparse.dataset_tools.interpolate_command import main as interpolate
from nnunet_sparse.report.selection.show_selection import main as show_selection
from nnunet_sparse.system.paths import NnUNetPaths

CASES = tuple("abcde")
IGNORE = 3


@pytest.fixture
def campaign(
    paths: NnUNetPaths,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    copy_campaign: CampaignCopier,
) -> Path:
    """Annotated without a fault: 3 of 12 slices of each of five volumes."""
    monkeypatch.chdir(tmp_path)
    assert paths.raw.is_dir()
    return copy_campaign(tmp_path, "abcde", annotated=True)


def imported(*options: str) -> int:
    return main(["campaign", "-np", "1", *options])


def dataset(campaign: Path, name: str = "Dataset500_campaign") -> Path:
    return campaign.parent / "nnunet" / "nnUNet_raw" / name


def content(campaign: Path, file: str) -> Any:
    return json.loads((dataset(campaign) / file).read_text("utf-8"))


def asked(campaign: Path, case_id: str) -> list[int]:
    return [int(r["slice"]) for r in read_rows(campaign) if r["case"] == case_id]


def not_asked(campaign: Path, case_id: str) -> int:
    return next(i for i in range(3, SHAPE[0]) if i not in asked(campaign, case_id))


def painted(campaign: Path, case_id: str) -> int:
    """A slice that was asked for and shows an object."""
    label = load(campaign / "labels" / f"{case_id}.nii.gz")
    return next(i for i in asked(campaign, case_id) if (label[..., i] == 1).any())


def paint(campaign: Path, case_id: str, index: int, value: int, everywhere: bool = False) -> None:
    def change(voxels: np.ndarray) -> None:
        voxels[(slice(None), slice(None), index) if everywhere else (2, 3, index)] = value

    edit(campaign / "labels" / f"{case_id}.nii.gz", change)


def test_a_sparse_data_set(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert imported("--tool", "ITK-SNAP", "--annotator", "Ada", "--date", "2026-11") == 0
    assert "annotated:  15 slices in 5 volumes" in capsys.readouterr().out
    labels = {"background": 0, "ball": 1, "core": 2, "ignore": 3}
    assert content(campaign, "dataset.json")["labels"] == labels
    for case_id in CASES:
        truth = load(campaign.parent / "truth" / f"{case_id}.nii.gz")
        label = load(dataset(campaign) / "labelsTr" / f"{case_id}.nii.gz")
        expected = np.full(truth.shape, IGNORE)
        chosen = asked(campaign, case_id)
        expected[..., chosen] = truth[..., chosen]
        np.testing.assert_array_equal(label, expected)
        image = dataset(campaign) / "imagesTr" / f"{case_id}_0000.nii.gz"
        assert image.samefile(campaign.parent / "scans" / f"{case_id}.nii.gz")
        placed: Any = nibabel.load(dataset(campaign) / "labelsTr" / f"{case_id}.nii.gz")
        original: Any = nibabel.load(image)
        np.testing.assert_array_equal(placed.affine, original.affine)
        assert content(campaign, "selection.json")["cases"][case_id]["slices"] == sorted(chosen)
    folds = content(campaign, "splits_final.json")
    assert [len(folds), len(folds[0]["train"]), len(folds[0]["val"])] == [3, 4, 1]
    record = content(campaign, "import.json")
    given = {"tool": "ITK-SNAP", "annotator": "Ada", "date": "2026-11"}
    assert record["provenance"] == given
    assert record["cases"]["a"]["kind"] == "volume"


def test_the_campaigns_labels_stay_as_they_are(campaign: Path) -> None:
    before = {p: p.read_bytes() for p in (campaign / "labels").iterdir()}
    assert imported() == 0
    assert {p: p.read_bytes() for p in (campaign / "labels").iterdir()} == before


def test_it_outlives_the_campaign(campaign: Path) -> None:
    for file in (campaign.parent / "scans").iterdir():  # converted, so that images are its own
        image: Any = nibabel.load(file)
        nibabel.save(nibabel.Nifti1Image(image.get_fdata(), image.affine), file.with_suffix(""))
        file.unlink()
    shutil.rmtree(campaign)
    make = ("make", "scans", "-o", "campaign", "--slices_per_volume", "3", "-np", "1")
    assert worklist([*make, "--labels", "ball", "core"]) == 0
    assert imported("--confirm_empty") == 0
    shutil.rmtree(campaign)
    assert load(dataset(campaign) / "imagesTr" / "a_0000.nii.gz").shape == SHAPE[::-1]


def test_the_same_again(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert imported() == 0
    assert imported() == 0
    assert "exists:" in capsys.readouterr().out
    paint(campaign, "a", painted(campaign, "a"), 2)
    assert imported() == 2
    assert "exists with other content (import.json); --overwrite" in capsys.readouterr().err
    assert imported("--overwrite") == 0
    assert load(dataset(campaign) / "labelsTr" / "a.nii.gz")[2, 3, painted(campaign, "a")] == 2
    assert imported("--name", "other") == 0
    assert dataset(campaign, "Dataset501_other").is_dir()


def _shifted(campaign: Path) -> None:
    file = campaign / "labels" / "a.nii.gz"
    image: Any = nibabel.load(file)
    affine = image.affine.copy()
    affine[0, 3] += 2
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), affine), file)


def _stretched(campaign: Path) -> None:
    file = campaign / "labels" / "a.nii.gz"
    image: Any = nibabel.load(file)
    affine = image.affine @ np.diag([1.1, 1, 1, 1])
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), affine), file)


def _cropped(campaign: Path) -> None:
    file = campaign / "labels" / "a.nii.gz"
    image: Any = nibabel.load(file)
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj)[:-1], image.affine), file)


def _confirm(campaign: Path) -> None:
    rows = read_rows(campaign)
    for row in rows:
        if (row["case"], int(row["slice"])) == ("a", painted(campaign, "a")):
            row["confirmed_empty"] = "yes"
    write_rows(campaign, rows)


def _lose_ignore(campaign: Path) -> None:
    def lose(voxels: np.ndarray) -> None:
        voxels[voxels == IGNORE] = 0

    edit(campaign / "labels" / "a.nii.gz", lose)


REFUSALS: dict[str, tuple[Callable[[Path], object], str]] = {
    "shifted": (_shifted, "a.nii.gz"),
    "stretched": (_stretched, "a.nii.gz"),
    "cropped": (_cropped, "a.nii.gz has shape"),
    "values": (lambda c: paint(c, "a", painted(c, "a"), 7), "a.nii.gz holds"),
    "extra": (lambda c: paint(c, "a", not_asked(c, "a"), 1), "annotated, but not asked for"),
    "untouched": (lambda c: paint(c, "a", painted(c, "a"), 0, True), "as prefilled, without an"),
    "ignored": (lambda c: paint(c, "a", painted(c, "a"), IGNORE, True), "ignore everywhere"),
    "missing": (lambda c: (c / "labels" / "a.nii.gz").unlink(), "a.nii.gz is missing"),
    "truncated": (lambda c: (c / "labels" / "a.nii.gz").write_bytes(b"x"), "a.nii.gz is damaged"),
    "contradiction": (_confirm, "confirmed empty, but with an object"),
    "ignore lost": (_lose_ignore, "was the label ignore lost?"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(campaign: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    spoil, message = REFUSALS[name]
    spoil(campaign)
    capsys.readouterr()
    assert imported() == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "a.nii.gz" in error
    assert message in error
    assert error.count("\n") == 1
    assert [p for p in dataset(campaign).parent.iterdir() if p.name[0] != "."] == []
    assert list(dataset(campaign).parent.glob(".nnsparse_partial*")) == []


def test_disk_that_fails_names_the_file(
    campaign: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file_digest = hashlib.file_digest

    def fail(stream: Any, name: str) -> Any:
        if Path(stream.name).name == "c.nii.gz":
            raise OSError(errno.EIO, os.strerror(errno.EIO))  # as reading does, without a name
        return file_digest(stream, name)

    monkeypatch.setattr(hashlib, "file_digest", fail)
    assert imported() == 2
    assert "error: campaign/labels/c.nii.gz: Input/output error" in capsys.readouterr().err
    assert not dataset(campaign).exists()


def test_partial(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = painted(campaign, "a")
    paint(campaign, "a", index, 0, everywhere=True)
    (campaign / "labels" / "b.nii.gz").unlink()
    assert imported() == 2
    assert "2 problems (see above)" in capsys.readouterr().err
    assert imported("--partial") == 0
    assert f"  a: {index}\n" in capsys.readouterr().out
    assert (load(dataset(campaign) / "labelsTr" / "a.nii.gz")[..., index] == IGNORE).all()
    assert not (dataset(campaign) / "labelsTr" / "b.nii.gz").exists()
    assert content(campaign, "dataset.json")["numTraining"] == 4


def test_partial_goes_not_on_with_a_wrong_file(campaign: Path) -> None:
    _shifted(campaign)
    assert imported("--partial") == 2


def test_confirmed_on_the_command_line(campaign: Path) -> None:
    index = painted(campaign, "a")
    paint(campaign, "a", index, 0, everywhere=True)
    assert imported("--confirm_empty", f"a:{index}") == 0
    assert (load(dataset(campaign) / "labelsTr" / "a.nii.gz")[..., index] == 0).all()
    row = next(r for r in read_rows(campaign) if (r["case"], r["slice"]) == ("a", str(index)))
    assert (row["confirmed_empty"], row["status"]) == ("yes", "confirmed empty")


def test_confirming_does_not_hide_an_object(campaign: Path) -> None:
    assert imported("--confirm_empty", f"a:{painted(campaign, 'a')}") == 2


def test_unfinished_slices(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = painted(campaign, "a")
    paint(campaign, "a", index, IGNORE, everywhere=True)
    paint(campaign, "a", index, 1)
    assert imported() == 2
    assert "with objects, but ignore in place of background" in capsys.readouterr().err
    assert imported("--partial") == 0
    assert (load(dataset(campaign) / "labelsTr" / "a.nii.gz")[..., index] == IGNORE).all()


@pytest.mark.parametrize("with_background", [False, True])
def test_extra_slices_are_taken(campaign: Path, with_background: bool) -> None:
    index = not_asked(campaign, "a")
    paint(campaign, "a", index, 1)
    if with_background:

        def outline(voxels: np.ndarray) -> None:
            voxels[2:4, 4, index] = 0

        edit(campaign / "labels" / "a.nii.gz", outline)
    assert imported("--accept_extra") == 0
    plane = load(dataset(campaign) / "labelsTr" / "a.nii.gz")[..., index]
    assert np.count_nonzero(plane == 1) == 1
    assert np.count_nonzero(plane == 0) == (2 if with_background else plane.size - 1)
    assert index in content(campaign, "selection.json")["cases"]["a"]["slices"]
    assert content(campaign, "import.json")["cases"]["a"]["extra"] == [index]


def test_extra_slices_are_left_out(campaign: Path) -> None:
    index = not_asked(campaign, "a")
    paint(campaign, "a", index, 1)
    assert imported("--drop_extra") == 0
    assert (load(dataset(campaign) / "labelsTr" / "a.nii.gz")[..., index] == IGNORE).all()


def test_background_that_nobody_asked_for(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _lose_ignore(campaign)
    assert imported() == 2
    assert "was the label ignore lost?" in capsys.readouterr().err
    assert imported("--accept_extra") == 0
    shown = capsys.readouterr().out
    assert "left out:   9 slices of 1 volume, not asked for, and background only" in shown
    label = load(dataset(campaign) / "labelsTr" / "a.nii.gz")
    annotated = np.flatnonzero((label != IGNORE).any(axis=(0, 1)))
    assert list(annotated) == sorted(asked(campaign, "a"))


def test_what_nobody_can_tell_stays_unknown_on_slices_confirmed_empty(campaign: Path) -> None:
    rows = read_rows(campaign)
    index = painted(campaign, "a")
    paint(campaign, "a", index, 0, everywhere=True)
    paint(campaign, "a", index, IGNORE)
    for row in rows:
        if (row["case"], int(row["slice"])) == ("a", index):
            row["confirmed_empty"] = "yes"
    write_rows(campaign, rows)
    assert imported() == 0
    plane = load(dataset(campaign) / "labelsTr" / "a.nii.gz")[..., index]
    assert (plane[2, 3], np.count_nonzero(plane)) == (IGNORE, 1)


def test_files_of_no_case_are_named(
    campaign: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    label = campaign / "labels" / "b.nii.gz"
    label.rename(campaign / "labels" / "b final.nii.gz")
    assert imported() == 2
    assert "- campaign/labels/b final.nii.gz belongs to no case" in caplog.text
    assert imported("--partial") == 0
    assert "unknown:    campaign/labels/b final.nii.gz" in capsys.readouterr().out


def test_a_label_that_changes_while_it_is_imported(
    campaign: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    link = import_module.link_file

    def save(*arguments: object, **options: object) -> None:
        link(*arguments, **options)  # type: ignore[arg-type]
        paint(campaign, "a", painted(campaign, "a"), 2)

    monkeypatch.setattr(import_module, "link_file", save)
    assert imported() == 2
    assert "a.nii.gz has changed since it was looked at" in capsys.readouterr().err
    assert not dataset(campaign).exists()


@pytest.mark.usefixtures("campaign")
def test_split_that_was_made_before_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert imported("--val", "1") == 0
    assert imported("--val", "2", "--overwrite") == 0
    assert "4 train, 1 val (volumes keep the part of earlier" in capsys.readouterr().out


def test_a_damaged_split(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (campaign / "split.json").write_text("{}")
    assert imported() == 2
    assert "split.json is damaged" in capsys.readouterr().err


def test_validation_volumes_stay_what_they_are(campaign: Path) -> None:
    for case_id in "de":
        (campaign / "labels" / f"{case_id}.nii.gz").rename(campaign / f"{case_id}.nii.gz")
    assert imported("--partial", "--val", "1") == 0
    first = content(campaign, "splits_final.json")[0]
    for case_id in "de":
        (campaign / f"{case_id}.nii.gz").rename(campaign / "labels" / f"{case_id}.nii.gz")
    assert imported("--overwrite", "--val", "2", "--seed", "5") == 0
    second = content(campaign, "splits_final.json")[0]
    assert set(first["val"]) < set(second["val"])
    assert set(first["train"]) < set(second["train"])


def test_a_cross_validation(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Volumes keep their fold when others are annotated later."""
    (campaign / "labels" / "e.nii.gz").rename(campaign / "e.nii.gz")
    assert imported("--partial", "--folds", "2", "--seed", "3") == 0
    said = capsys.readouterr().out
    assert "split:      2 folds that validate 2, 2 volumes" in said
    assert "folds:      2 of a cross-validation of 4 annotated volumes" in said
    first = content(campaign, "splits_final.json")
    (campaign / "e.nii.gz").rename(campaign / "labels" / "e.nii.gz")
    assert imported("--folds", "2", "--overwrite") == 0
    second = content(campaign, "splits_final.json")
    for fold, grown in zip(first, second, strict=True):
        assert sorted([*grown["train"], *grown["val"]]) == list(CASES)
        assert set(fold["val"]) <= set(grown["val"])
    assert imported("--folds", "2") == 0
    assert "exists:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--folds", "6"), "at least 6 volumes, there are 5"),
        (("--folds", "5", "--group", "a|b|[c-e]", "--val", "1"), "leave out --val"),
        (("--folds", "4", "--group", "GROUPS"), "at least 4 groups of volumes, there are 3"),
        (("--group", "[ab]"), "finds no group in the case c"),
        (("--group", "."), None),
    ],
)
def test_folds_and_groups_that_cannot_be(
    campaign: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    message: str | None,
) -> None:
    pairs(campaign)
    options = tuple(str(campaign.parent / "groups.csv") if o == "GROUPS" else o for o in options)
    status = imported(*options)
    if message is None:
        assert status == 0
        return
    assert status == 2
    assert message in capsys.readouterr().err
    assert not dataset(campaign).exists()
    assert not (campaign / "split.json").exists()


def pairs(campaign: Path) -> str:
    """Table by which a and b, and c and d, are of one patient."""
    file = campaign.parent / "groups.csv"
    file.write_text("case;patient\na;1\nb;1\nc;2\nd;2\ne;3\n", encoding="utf-8")
    return str(file)


def test_volumes_of_a_patient_are_on_one_side(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pairs(campaign)
    assert "several volumes of one patient" in report(capsys)
    for seed in range(4):
        name = f"seed{seed}"
        (campaign / "split.json").unlink(missing_ok=True)
        assert imported("--group", table, "--val", "2", "--seed", str(seed), "--name", name) == 0
        assert "5 cases of 3 groups" in capsys.readouterr().out
        folder = dataset(campaign).with_name(f"Dataset{501 + seed}_{name}")
        fold = json.loads((folder / "splits_final.json").read_text("utf-8"))[0]
        assert len({*fold["val"]} & {"a", "b"}) in {0, 2}
        assert len({*fold["val"]} & {"c", "d"}) in {0, 2}
    # later imports keep the groups, also without being told
    (campaign / "labels" / "b.nii.gz").rename(campaign / "b.nii.gz")
    (campaign / "split.json").unlink()
    assert imported("--partial", "--group", table, "--name", "grown", "--val", "1") == 0
    (campaign / "b.nii.gz").rename(campaign / "labels" / "b.nii.gz")
    Path(table).unlink()
    assert imported("--name", "grown", "--overwrite") == 2
    assert "the group of case b is not known" in capsys.readouterr().err
    pairs(campaign)
    assert imported("--name", "grown", "--overwrite", "--group", table) == 0
    assert imported("--name", "grown") == 0


def report(capsys: pytest.CaptureFixture[str]) -> str:
    """What an import without options says."""
    assert imported() == 0
    return capsys.readouterr().out


def test_parts_of_earlier_imports_are_compared_with_groups(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported("--val", "1") == 0
    fold = content(campaign, "splits_final.json")[0]
    both = f"case,patient\n{fold['val'][0]},p\n" + "".join(f"{c},p\n" for c in fold["train"])
    (campaign / "p.csv").write_text(both, encoding="utf-8")
    assert imported("--group", str(campaign / "p.csv")) == 2
    error = capsys.readouterr().err
    assert "split.json" in error
    assert "the group 'p' are in two parts" in error


def test_dry_run(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (campaign / "worklist.csv").read_bytes()
    assert imported("--dry_run") == 0
    assert "nothing was written" in capsys.readouterr().out
    assert not dataset(campaign).exists()
    assert (campaign / "worklist.csv").read_bytes() == before
    assert not (campaign / "split.json").exists()


def test_masks_of_single_slices(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masks = campaign.parent / "masks"
    masks.mkdir()
    expected = {}
    for case_id in CASES:
        truth = load(campaign.parent / "truth" / f"{case_id}.nii.gz")
        for index in asked(campaign, case_id):
            plane = truth[..., index].T  # rows y, columns x
            Image.fromarray(plane.astype(np.uint8)).save(masks / f"{case_id}_slice{index:03d}.png")
            expected[case_id, index] = truth[..., index]
    wrong = masks / f"a_slice{not_asked(campaign, 'a')}.png"
    Image.fromarray(plane.astype(np.uint8)).save(wrong)
    assert imported("--annotations", str(masks)) == 2
    error = capsys.readouterr().err
    assert f"{wrong.name}: slice {not_asked(campaign, 'a')} is annotated" in error
    wrong.unlink()
    assert imported("--annotations", str(masks)) == 0
    for (case_id, index), plane in expected.items():
        label = load(dataset(campaign) / "labelsTr" / f"{case_id}.nii.gz")
        np.testing.assert_array_equal(label[..., index], plane)


def test_a_call_that_was_killed_is_gone_on_with(
    campaign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(import_module, "write_json", killed)
        assert imported() == 130
    (left,) = dataset(campaign).parent.glob(".nnsparse_partial_*")
    date_back(left / "labelsTr" / "a.nii.gz")
    assert imported() == 0
    assert written_since(dataset(campaign) / "labelsTr" / "a.nii.gz") == set()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--val", "5"), "no volume is left to train on"),
        (("--val", "0"), "val must be a number of volumes"),
        (("--name", "a b"), "a b"),
        (("--id", "1000"), "a data set ID lies between 1 and 999"),
        (("--annotations", "none"), "none is no folder"),
        (("--accept_extra", "--drop_extra"), "not allowed with"),
    ],
)
def test_bad_options(
    campaign: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    capsys.readouterr()
    try:
        status = imported(*options)
    except SystemExit as stopped:
        status = int(stopped.code or 0)
    assert status == 2
    assert message in capsys.readouterr().err
    assert not dataset(campaign).exists()


def test_a_name_that_is_taken(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = dataset(campaign, "Dataset009_campaign")
    other.mkdir()
    assert imported() == 2
    assert "was not imported from a campaign; give another --name" in capsys.readouterr().err
    assert imported("--overwrite") == 2
    assert list(other.iterdir()) == []


def test_what_needs_a_dense_base_says_so(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported() == 0
    for command in (interpolate, show_selection):
        capsys.readouterr()
        assert command(["-d", "500"] if command is interpolate else ["500"]) == 2
        assert "was imported from the campaign campaign" in capsys.readouterr().err
    assert len(list(dataset(campaign).parent.glob("Dataset*"))) == 1
