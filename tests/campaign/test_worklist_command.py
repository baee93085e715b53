import gzip
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from campaign.annotator import annotate, break_geometry, edit, load, read_rows, write_rows
from campaign.made_campaigns import CampaignCopier
from campaign.scans import SHAPE, write_scans
from conftest import BaseMaker
from dicom_files import (
    STRUCTURES,
    dicom_object,
    positions_along,
    save,
    write_frames,
    write_slices,
)
from file_times import date_back, written_since
from tiny import tree

from nnunet_sparse.campaign import round_work
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.slice_times import SliceTime, add_times
from nnunet_sparse.campaign.worklist_command import main
from nnunet_sparse.data.geometry import read_geometry
from nnunet_sparse.report.grid.annotation_cost import read_cost

LABELS = ("--labels", "ball", "core")


def make(*options: str, folder: str = "campaign") -> int:
    return main(["make", "scans", "-o", folder, "-np", "1", *LABELS, *options])


@pytest.fixture
def scans(no_paths: Path) -> Path:
    """Four volumes in the working directory."""
    return write_scans(no_paths / "scans")


@pytest.fixture
def campaign(no_paths: Path, copy_campaign: CampaignCopier) -> Path:
    """3 slices of each of the four volumes are asked for."""
    return copy_campaign(no_paths)


def test_everything_is_there(campaign: Path) -> None:
    assert {path.name for path in campaign.iterdir()} == {
        "campaign.json",
        "worklist.csv",
        "images",
        "labels",
        "pictures",
        "README.html",
        "labels_itksnap.txt",
        "labels_slicer.ctbl",
    }
    rows = read_rows(campaign)
    assert len(rows) == 12
    for row in rows:
        label = load(campaign / "labels" / f"{row['case']}.nii.gz")
        assert (label[..., int(row["slice"])] == 0).all()
    found = Campaign.read(campaign)
    label = load(campaign / "labels" / "a.nii.gz")
    assert np.count_nonzero(label == found.ignore_label) == 9 * np.prod(SHAPE[1:])
    image = campaign / "images" / "a_0000.nii.gz"
    assert image.samefile(campaign.parent / "scans" / "a.nii.gz")
    here = read_geometry(campaign / "labels" / "a.nii.gz", "SimpleITKIO")
    np.testing.assert_array_equal(here.affine, read_geometry(image, "SimpleITKIO").affine)


def test_nothing_of_the_users_is_changed(scans: Path) -> None:
    before = tree(scans)
    date_back(scans)
    make("--budget", "5")
    main(["extend", "campaign", "--budget", "3", "-np", "1"])
    assert tree(scans) == before
    assert written_since(scans) == set()


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (("--rho", "0.25"), 12),
        (("--rho", "0.25", "--s", "0.5"), 6),
        (("--budget", "7"), 7),
        (("--budget", "7", "--scope", "dataset", "--selector", "random"), 7),
        (("--slices_per_volume", "2", "--selector", "fixed"), 8),
        (("--slices_per_volume", "2", "--axis", "sagittal"), 8),
    ],
)
def test_budgets(scans: Path, options: tuple[str, ...], count: int) -> None:
    assert make(*options) == 0
    assert len(read_rows(scans.parent / "campaign")) == count


def test_weights(scans: Path) -> None:
    (scans.parent / "w.csv").write_text("case,weight\na,3\nb,0\n")
    assert make("--budget", "10", "--weights", "w.csv") == 0
    cases = [row["case"] for row in read_rows(scans.parent / "campaign")]
    assert [cases.count(c) for c in "abcd"] == [6, 0, 2, 2]


def test_the_same_call_again(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(campaign / "labels" / "a.nii.gz", lambda voxels: voxels.fill(1))
    date_back(campaign)
    assert make("--slices_per_volume", "3") == 0
    assert "exists:     campaign" in capsys.readouterr().out
    assert written_since(campaign) == set()
    assert make("--slices_per_volume", "4") == 2
    assert "is a campaign with other --budget, --selector" in capsys.readouterr().err


def test_a_moved_campaign_is_the_same(campaign: Path) -> None:
    shutil.copytree(campaign, campaign.parent / "moved", symlinks=True)
    assert main(["status", "moved", "-np", "1"]) == 0


def test_a_call_that_was_killed_is_gone_on_with(
    scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(round_work, "write_guide", killed)
        assert make("--budget", "5") == 130
    (left,) = scans.parent.glob(".nnsparse_campaign_*")
    marker = left / "images" / "a_0000.nii.gz"
    date_back(marker)
    assert make("--budget", "5") == 0
    assert written_since(scans.parent / "campaign/images/a_0000.nii.gz") == set()
    assert {path.name for path in scans.parent.iterdir()} == {"scans", "truth", "campaign"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--rho", "1.5"), "rho must lie in (0, 1], got 1.5"),
        (("--budget", "49"), "budget is 49 slices, the 4 volumes that may be annotated have 48"),
        (("--rho", "0.1", "--axis", "up"), "unknown axis 'up'"),
        (("--rho", "0.1", "--selector", "foreground_random"), "looks at dense labels"),
        (("--rho", "0.1", "--selector", "none"), "unknown selector 'none'"),
        (("--rho", "0.1", "--channels", "T1", "T2"), "must be called CASE_0000 to CASE_0001"),
        (("--rho", "0.1", "--weights", "none.csv"), "none.csv cannot be read"),
        (("--rho", "0.1", "-d", "4"), "name the volumes, or a data set with -d"),
        (("--rho", "0.1", "--min_per_volume", "1"), "min_per_volume works with scope dataset"),
        (("--rho", "0.1", "-o", "scans"), "scans exists and is no campaign"),
        (("--rho", "0.1", "--labels", "ignore"), "label 'ignore' is there anyway"),
        (("--rho", "0.1", "--labels", "a", "a"), "--labels names a label twice"),
        (("--rho", "0.1", "--selector", "ual", "--dry_run"), "leave out --dry_run"),
    ],
)
def test_refusals(
    scans: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], message: str
) -> None:
    assert make(*options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert {path.name for path in scans.parent.iterdir()} == {"scans", "truth"}


def test_a_damaged_volume_leaves_nothing(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = (scans / "c.nii.gz").read_bytes()
    (scans / "c.nii.gz").write_bytes(content[:-40])
    assert make("--rho", "0.1") == 2
    assert "c.nii.gz is damaged" in capsys.readouterr().err
    assert {path.name for path in scans.parent.iterdir()} == {"scans", "truth"}


def test_folders_of_whole_patients(
    no_paths: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """What is no volume is told, once for each reason, and the volumes are asked for."""
    caplog.set_level("INFO")
    rng = np.random.default_rng(0)
    positions = positions_along(5, 2.5)
    for patient in ("p0", "p1"):
        planes = rng.integers(-900, 900, (5, 8, 9)).astype(np.int16)
        files = write_slices(no_paths / "scans" / patient, planes, positions)
        save(dicom_object(STRUCTURES), files[0].with_name("RS.dcm"))
        write_slices(files[0].parent / "loc", planes[:1], [[0, 0, 0]])
    write_frames(no_paths / "scans" / "p2" / "IM1", planes[::-1], positions[::-1])
    assert make("--slices_per_volume", "2") == 0
    assert "volumes:    3, 15 axial slices along axis 0" in capsys.readouterr().out
    assert "left out, RT Structure Set: scans/p0/RS.dcm and 1 more\n" in caplog.text
    assert "left out, 1 slice, not a volume: scans/p0/loc/000.dcm and 1 more\n" in caplog.text
    for case in ("p1", "p2"):
        voxels = load(no_paths / "campaign" / "images" / f"{case}_0000.nii.gz")
        np.testing.assert_array_equal(voxels.T, planes)
    assert make("--slices_per_volume", "2") == 0
    assert "exists" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        (positions_along(5, 2.5, tilt_degrees=15), "tilted by 15 degrees (gantry tilt?)"),
        (positions_along(6, 2.5)[[0, 1, 2, 3, 5]], "a slice missing, or are these several"),
        (positions_along(5, 0), "no volumes in scans: left out, 5 slices at each position"),
    ],
)
def test_series_that_are_refused(
    no_paths: Path, capsys: pytest.CaptureFixture[str], positions: np.ndarray, message: str
) -> None:
    write_slices(no_paths / "scans" / "p0", np.zeros((5, 8, 9)), positions)
    assert make("--slices_per_volume", "2") == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (no_paths / "campaign").exists()


def test_dry_run(scans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make("--budget", "5", "--dry_run", "--copy") == 0
    shown = capsys.readouterr().out
    assert "nothing was written" in shown
    assert {path.name for path in scans.parent.iterdir()} == {"scans", "truth"}
    assert make("--budget", "5") == 0
    for row in read_rows(scans.parent / "campaign"):
        (line,) = (text for text in shown.splitlines() if text.startswith(f"  {row['case']}:"))
        assert row["slice"] in line.split(": ")[2].split()


def test_a_data_set_without_labels(make_base: BaseMaker, tmp_path: Path) -> None:
    base = make_base(num_train=3, channels=2)
    shutil.rmtree(base / "labelsTr")
    folder = tmp_path / "campaign"
    assert main(["make", "-d", "4", "-o", str(folder), "--rho", "0.2", "-np", "1"]) == 0
    found = Campaign.read(folder)
    assert found.dataset["labels"] == {"background": 0, "organ": 1, "lesion": 2}
    assert len(found.image_files("tr_00")) == 2
    assert all(file.is_file() for file in found.image_files("tr_02"))
    again = main(["make", str(base), "-o", str(folder), "--rho", "0.2", "-np", "1"])
    assert again == 0  # by its folder: the same


def test_status_counts(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = read_rows(campaign)
    forgotten = (rows[0]["case"], int(rows[0]["slice"]))
    annotate(campaign, campaign.parent / "truth", {forgotten}, minutes=2)
    capsys.readouterr()
    assert main(["status", "campaign", "-np", "1"]) == 0
    shown = capsys.readouterr().out
    assert "volumes:  4: 0 todo, 1 touched, 3 done, 0 confirmed empty" in shown
    assert "time:     22 min for 11 slices, 2.0 min a slice; about 2 min left" in shown
    statuses = [row["status"] for row in read_rows(campaign)]
    assert statuses[0] == "todo"
    assert set(statuses[1:]) <= {"done", "confirmed empty"}


def test_confirming_on_the_command_line(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (slice_, *_) = (int(r["slice"]) for r in read_rows(campaign) if r["case"] == "a")
    assert main(["status", "campaign", "-np", "1", "--confirm_empty", "b", f"a:{slice_}"]) == 0
    states = {(r["case"], int(r["slice"])): r["status"] for r in read_rows(campaign)}
    assert states["a", slice_] == "confirmed empty"
    assert {v for (case, _), v in states.items() if case == "b"} == {"confirmed empty"}
    assert list(states.values()).count("todo") == 8
    assert main(["status", "campaign", "-np", "1", "--confirm_empty"]) == 0
    assert "12: 0 todo, 0 done, 12 confirmed empty" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "no slice of a case 'x' is asked for"),
        ("a:99", "slice 99 of case a was not asked for"),
        ("a:one", "--confirm_empty takes CASE or CASE:3,7"),
        ("b", "b.nii.gz lies elsewhere than its image"),
        ("c:{painted}", "of case c is not as prefilled"),
    ],
)
def test_bad_confirmations(
    campaign: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    break_geometry(campaign, "b")
    painted = next(int(r["slice"]) for r in read_rows(campaign) if r["case"] == "c")

    def paint(voxels: np.ndarray) -> None:
        voxels[2, 3, painted] = 1

    edit(campaign / "labels" / "c.nii.gz", paint)
    named = text.format(painted=painted)
    assert main(["status", "campaign", "-np", "1", "--confirm_empty", named]) == 2
    assert message in capsys.readouterr().err
    assert {row["confirmed_empty"] for row in read_rows(campaign)} == {""}


def test_all_that_can_be_confirmed(campaign: Path) -> None:
    break_geometry(campaign, "b")
    assert main(["status", "campaign", "-np", "1", "--confirm_empty"]) == 0
    confirmed = {r["case"] for r in read_rows(campaign) if r["confirmed_empty"]}
    assert confirmed == {"a", "c", "d"}  # nobody knows what b shows


def test_status_tells_what_is_wrong(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = campaign / "labels"
    (labels / "a.nii.gz").unlink()
    (labels / "b.nii.gz").write_bytes(b"half")
    shutil.copy(labels / "d.nii.gz", labels / "other.nii.gz")
    edit(labels / "c.nii.gz", lambda voxels: voxels.fill(1))
    assert main(["status", "campaign", "-np", "1"]) == 0
    shown = capsys.readouterr().out
    assert "a.nii.gz is missing" in shown
    assert "b.nii.gz is damaged" in shown
    assert "other.nii.gz belongs to no case" in shown
    assert "c, slices" in shown  # annotated, but not asked for


def test_extend(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = read_rows(campaign)
    annotate(campaign, campaign.parent / "truth")
    before = {c: load(campaign / "labels" / f"{c}.nii.gz") for c in "abcd"}
    assert main(["extend", "campaign", "--budget", "8", "-np", "1"]) == 0
    after = read_rows(campaign)
    old = {(r["case"], r["slice"]) for r in rows}
    new = {(r["case"], r["slice"]) for r in after} - old
    assert len(after) == len(rows) + 8
    assert len(new) == 8
    assert [r["confirmed_empty"] for r in after[len(rows) :]] == [""] * 8
    assert "todo" not in {r["status"] for r in after[: len(rows)]}
    for case_id, label in before.items():
        more = [int(i) for case, i in new if case == case_id]
        found = load(campaign / "labels" / f"{case_id}.nii.gz")
        assert (found[..., more] == 0).all()
        kept = [i for i in range(SHAPE[0]) if i not in more]
        np.testing.assert_array_equal(found[..., kept], label[..., kept])
    assert (campaign / "README.html").read_text("utf-8").count("20 axial slices") == 1
    assert main(["extend", "campaign", "--budget", "29", "-np", "1"]) == 2
    assert "have 28" in capsys.readouterr().err


def test_extra_annotation_is_not_asked_for(campaign: Path) -> None:
    asked = {int(r["slice"]) for r in read_rows(campaign) if r["case"] == "a"}
    extra = min(set(range(SHAPE[0])) - asked)

    def paint(voxels: np.ndarray) -> None:
        voxels[2:4, 3, extra] = 1

    edit(campaign / "labels" / "a.nii.gz", paint)
    assert main(["extend", "campaign", "--budget", "35", "-np", "1"]) == 0  # all others
    assert extra not in {int(r["slice"]) for r in read_rows(campaign) if r["case"] == "a"}
    assert (load(campaign / "labels" / "a.nii.gz")[2:4, 3, extra] == 1).all()


@pytest.mark.parametrize("again", ["status", "extend", "another"])
@pytest.mark.parametrize("killed_in", ["prefill", "write_work"])
def test_extend_that_was_killed_is_finished(
    campaign: Path, monkeypatch: pytest.MonkeyPatch, killed_in: str, again: str
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    extend = ["extend", "campaign", "--budget", "4", "-np", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(round_work, killed_in, killed)
        assert main(extend) == 130
    assert not Campaign.read(campaign).is_complete
    more = {"status": ["status", "campaign", "-np", "1"], "extend": extend}
    assert main(more.get(again, [*extend[:3], "2", *extend[4:]])) == 0
    after = Campaign.read(campaign)
    assert after.is_complete
    assert len(after.rounds) == (3 if again == "another" else 2)
    for case_id in after.asked_cases:
        label = load(campaign / "labels" / f"{case_id}.nii.gz")
        assert (label[..., list(after.asked(case_id))] == 0).all()
    assert len(read_rows(campaign)) == (18 if again == "another" else 16)
    page = (campaign / "README.html").read_text("utf-8")
    assert f"{len(read_rows(campaign))} axial slices" in page


def test_extend_writes_into_prefilled_files_only(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = campaign / "labels" / "a.nii.gz"
    edit(file, lambda voxels: voxels.fill(1))
    file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))
    file.unlink()
    before = (campaign / "campaign.json").read_bytes()
    assert main(["extend", "campaign", "--budget", "4", "-np", "1"]) == 2
    assert "a.nii: more slices can be asked for in a.nii.gz only" in capsys.readouterr().err
    assert (campaign / "campaign.json").read_bytes() == before


def test_dry_run_of_extend(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {p: p.read_bytes() for p in campaign.rglob("*") if p.is_file()}
    assert main(["extend", "campaign", "--budget", "4", "-np", "1", "--dry_run"]) == 0
    assert "dry run: nothing was asked for" in capsys.readouterr().out
    assert {p: p.read_bytes() for p in campaign.rglob("*") if p.is_file()} == before


def test_extend_chooses_as_in_the_first_round(scans: Path) -> None:
    options = ("--scope", "dataset", "--selector", "random", "--min_per_volume", "2")
    assert make("--budget", "9", *options, "--seed", "3") == 0
    assert main(["extend", "campaign", "--budget", "4", "-np", "1"]) == 0
    first, second = Campaign.read(scans.parent / "campaign").rounds
    assert second.variant == replace(first.variant, budget=4)


def test_extend_wants_readable_labels(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (campaign / "labels" / "b.nii.gz").write_bytes(b"half")
    assert main(["extend", "campaign", "--budget", "4", "-np", "1"]) == 2
    assert "b.nii.gz is damaged" in capsys.readouterr().err
    assert len(Campaign.read(campaign).rounds) == 1


def test_a_worklist_from_a_spreadsheet(campaign: Path) -> None:
    rows = read_rows(campaign)
    write_rows(campaign, rows[::-1])
    text = (campaign / "worklist.csv").read_text("utf-8").replace(",", ";")
    (campaign / "worklist.csv").write_text(text, "cp1252")
    assert main(["status", "campaign", "-np", "1"]) == 0
    header = (campaign / "worklist.csv").read_text("utf-8-sig").splitlines()[0]
    assert header.startswith("order;case;slice;number;position_mm")


@pytest.mark.parametrize("command", [["status"], ["extend", "--budget", "3"]])
def test_no_campaign(scans: Path, capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    assert main([command[0], str(scans), *command[1:]]) == 2
    assert "is no campaign: it has no campaign.json" in capsys.readouterr().err
    assert main([command[0], "nowhere", *command[1:]]) == 2
    assert sorted(path.name for path in scans.iterdir()) == [f"{c}.nii.gz" for c in "abcd"]


@pytest.mark.usefixtures("short")
def test_selectors_that_look_at_images(scans: Path) -> None:
    assert make("--budget", "6", "--selector", "ual", "--scope", "dataset", "-device", "cpu") == 0
    campaign = scans.parent / "campaign"
    first = Campaign.read(campaign)
    assert first.rounds[0].features
    campaign.rename(scans.parent / "renamed")  # the network is found there as well
    assert main(["extend", "renamed", "--budget", "4", "-np", "1", "-device", "cpu"]) == 0
    after = Campaign.read(scans.parent / "renamed")
    assert after.rounds[1].features == first.rounds[0].features
    assert len(read_rows(scans.parent / "renamed")) == 10


def test_measured_times_are_shown_and_a_cost_is_fitted(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = campaign.parent / "cost.yaml"
    assert main(["status", str(campaign), "-np", "1"]) == 0
    assert "seconds a slice" not in capsys.readouterr().out
    assert main(["cost", str(campaign), "-o", str(output)]) == 2
    assert "of 0 slices; a cost is fitted to at least 20" in capsys.readouterr().err
    assert not output.exists()
    times = [SliceTime(f"v{k}", "a", k, "mk", 10, "done", 1) for k in range(25)]
    add_times(Campaign.read(campaign), times)
    assert main(["status", str(campaign), "-np", "1"]) == 0
    assert "mk               10 (25)" in capsys.readouterr().out
    assert main(["cost", str(campaign), "-o", str(output)]) == 0
    cost = read_cost(output)
    assert cost.seconds_per_slice + cost.seconds_per_object == pytest.approx(10)
