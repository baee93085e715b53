"""Rounds of a campaign whose slices a trained network chooses, from command to import."""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from campaign.annotator import annotate, edit, load, read_rows, write_rows
from campaign.scans import write_scans
from tiny import tree
from trained_models import dataset_json, plans, write_model

from nnunet_sparse.campaign import ask_more, guide_pictures, worklist_command
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.import_command import main as import_campaign
from nnunet_sparse.campaign.predicted_slices import PredictedSlices, handed_out, predictions_file
from nnunet_sparse.campaign.worklist_command import main as worklist
from nnunet_sparse.system.paths import NnUNetPaths

LABELS = {"background": 0, "ball": 1, "core": 2}
ONE = ("-np", "1")
INTERRUPTED = 130
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def annotated_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign of four volumes whose first round is annotated, and a network of two folds."""
    folder = tmp_path_factory.mktemp("rounds")
    write_scans(folder / "scans")
    where = (str(folder / "scans"), "-o", str(folder / "campaign"))
    assert worklist(["make", *where, "--labels", "ball", "core", "--budget", "6", *ONE]) == 0
    annotate(folder / "campaign", folder / "truth")
    assert worklist(["status", str(folder / "campaign"), *ONE]) == 0
    content = plans(patch=(16, 16), dataset="Dataset500_campaign")
    write_model(folder / "results", content, dataset_json(LABELS, ("image",)), folds=(0, 1))
    return folder


@pytest.fixture
def there(annotated_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which commands run."""
    monkeypatch.chdir(copied(annotated_once, tmp_path))
    return tmp_path


def copied(once: Path, folder: Path) -> Path:
    for name in ("scans", "campaign", "truth", "results"):
        shutil.copytree(once / name, folder / name, symlinks=True)
    return folder


def model(folder: Path = Path()) -> str:
    return str(folder / "results/Dataset500_campaign/nnUNetTrainer__nnUNetPlans__2d")


def extend(*options: str, budget: int = 5, selector: str = "clasp_pe") -> int:
    asked = ("--budget", str(budget), "--selector", selector, "-device", "cpu", *ONE)
    return worklist(["extend", "campaign", *asked, *options])


def campaign() -> Campaign:
    return Campaign.read(Path("campaign"))


def new_slices() -> dict[str, set[int]]:
    return {c: set(found) for c, found in campaign().rounds[-1].slices.items()}


def planes(case_id: str) -> np.ndarray:
    """Label with its slices first."""
    return np.moveaxis(load(Path(f"campaign/labels/{case_id}.nii.gz")), 2 - campaign().axis, 0)


@pytest.mark.slow
@pytest.mark.usefixtures("there")
@pytest.mark.parametrize(
    ("selector", "scope"),
    [("entropy", "volume"), ("bald", "dataset"), ("clasp_pe", "volume"), ("clasp_pe", "dataset")],
)
def test_nothing_twice_and_the_same_for_a_seed(selector: str, scope: str, capsys: Capture) -> None:
    before = {c: set(campaign().asked(c)) for c in campaign().volumes}
    options = ("--model", model(), "--scope", scope)
    assert extend(*options, "--dry_run", selector=selector) == 0
    told = re.findall(r"^  (\w+): \d+ of \d+: ([\d ]+)$", capsys.readouterr().out, re.MULTILINE)
    assert len(campaign().rounds) == 1
    assert extend(*options, selector=selector) == 0
    assert {c: set(map(int, text.split())) for c, text in told} == new_slices()
    assert sum(map(len, new_slices().values())) == 5
    assert all(not before[c] & found for c, found in new_slices().items())
    assert campaign().rounds[1].network is not None


@pytest.mark.usefixtures("there")
def test_the_guide_shows_why(monkeypatch: pytest.MonkeyPatch) -> None:
    titles: list[str] = []
    sheet = guide_pictures._sheet

    def noted(tiles: Sequence[Any], header: Sequence[str]) -> Any:
        titles.extend(tile.lines[0] for tile in tiles)
        return sheet(tiles, header)

    monkeypatch.setattr(guide_pictures, "_sheet", noted)
    assert extend("--model", model(), "-f", "0") == 0
    for case_id, found in new_slices().items():
        for i in found:
            place = titles.index(f"why slice {i}")
            assert titles[place - 1] == f"slice {i}", case_id
    page = Path("campaign/README.html").read_text("utf-8")
    assert "Beside a slice that a network has asked for stands why" in page
    assert "column" in page
    assert "<code>confirmed</code>" not in page
    from PIL import Image

    for case_id in new_slices():
        with Image.open(f"campaign/pictures/{case_id}.png") as picture:
            assert picture.mode == "RGB"
        found = PredictedSlices.read(predictions_file(campaign(), 1, case_id), 12)
        assert set(found.slices) == new_slices()[case_id]
        assert found.num_ranked == 48 - 6
        assert ((found.rank >= 1) & (found.rank <= found.num_ranked)).all()


@pytest.mark.usefixtures("there")
def test_labels_are_blank_without_prefilling() -> None:
    assert extend("--model", model(), "-f", "0") == 0
    for case_id, found in new_slices().items():
        assert not planes(case_id)[list(found)].any()
    assert "confirmed" not in read_rows(Path("campaign"))[0]


@pytest.fixture(scope="module")
def prefilled_once(annotated_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a second round, whose prefilled labels hold predictions."""
    folder = copied(annotated_once, tmp_path_factory.mktemp("prefilled"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        options = ("--model", model(), "-f", "0", "--prefill_prediction")
        assert extend(*options, budget=12, selector="entropy") == 0
    return folder


@pytest.fixture
def prefilled(
    prefilled_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, str, int]:
    """A copy of it, and a slice on which an object is predicted."""
    there = copied(prefilled_once, tmp_path)
    monkeypatch.chdir(there)
    for case_id, found in handed_out_slices().items():
        for i, plane in found.items():
            np.testing.assert_array_equal(planes(case_id)[i].T, plane)
    case_id, i = next(
        (c, i) for c, found in handed_out_slices().items() for i in found if found[i].any()
    )
    return there, case_id, i


def handed_out_slices() -> dict[str, dict[int, np.ndarray]]:
    return {c: handed_out(campaign(), c) for c in new_slices()}


def status_of(case_id: str, i: int) -> str:
    assert worklist(["status", "campaign", *ONE]) == 0
    rows = read_rows(Path("campaign"))
    (row,) = (r for r in rows if (r["case"], r["slice"]) == (case_id, str(i)))
    return row["status"]


def confirm(case_id: str, i: int, column: str = "confirmed") -> None:
    rows = read_rows(Path("campaign"))
    for row in rows:
        if (row["case"], row["slice"]) == (case_id, str(i)):
            row[column] = "yes"
    write_rows(Path("campaign"), rows)


def change(case_id: str, i: int, paint: Callable[[np.ndarray], None]) -> None:
    axis = 2 - campaign().axis
    edit(
        Path(f"campaign/labels/{case_id}.nii.gz"),
        lambda voxels: paint(np.moveaxis(voxels, axis, 0)[i]),
    )


def test_a_prediction_that_nobody_has_touched_is_not_done(
    prefilled: tuple[Path, str, int], paths: NnUNetPaths, capsys: Capture
) -> None:
    _, case_id, i = prefilled
    assert status_of(case_id, i) == "todo"
    line = rf"look at:  {case_id}, slices? .*\b{i}\b.*: as the network predicted"
    assert re.search(line, capsys.readouterr().out)
    assert import_campaign(["campaign", *ONE]) == 2
    told = capsys.readouterr().err
    assert "as the network predicted, which nobody has changed or confirmed" in told
    assert list(paths.raw.iterdir()) == []
    # saved again without a change, as programs do
    change(case_id, i, lambda _: None)
    assert status_of(case_id, i) == "todo"
    assert import_campaign(["campaign", "--partial", *ONE]) == 0
    record = json.loads((paths.raw / "Dataset500_campaign/import.json").read_text("utf-8"))
    assert i in record["cases"][case_id]["left_out"]
    assert record["rounds"][1]["prefilled"]
    label = load(paths.raw / f"Dataset500_campaign/labelsTr/{case_id}.nii.gz")
    assert (np.moveaxis(label, 2 - campaign().axis, 0)[i] == 3).all()


def test_a_prediction_counts_once_it_is_confirmed(prefilled: tuple[Path, str, int]) -> None:
    _, case_id, i = prefilled
    confirm(case_id, i)
    assert status_of(case_id, i) == "done"


def test_a_prediction_counts_once_it_is_changed(prefilled: tuple[Path, str, int]) -> None:
    _, case_id, i = prefilled

    def paint(plane: np.ndarray) -> None:
        plane[0, 0] = 2 if plane[0, 0] == 1 else 1

    change(case_id, i, paint)
    assert status_of(case_id, i) == "done"


def test_a_prediction_that_was_erased_is_empty(prefilled: tuple[Path, str, int]) -> None:
    _, case_id, i = prefilled
    change(case_id, i, lambda plane: plane.fill(0))
    assert status_of(case_id, i) == "confirmed empty"


def test_a_prediction_confirmed_empty_contradicts(
    prefilled: tuple[Path, str, int], paths: NnUNetPaths, capsys: Capture
) -> None:
    del paths
    _, case_id, i = prefilled
    confirm(case_id, i, "confirmed_empty")
    assert import_campaign(["campaign", "--partial", *ONE]) == 2
    assert "confirmed empty, but with an object" in capsys.readouterr().err


def test_masks_of_slices_do_not_hold_predictions(prefilled: tuple[Path, str, int]) -> None:
    """Who delivers masks of some slices has not seen the others."""
    _, case_id, i = prefilled
    masks = Path("masks")
    masks.mkdir()
    other = next(n for n in campaign().asked(case_id) if n != i)
    plane = planes(case_id)[other].T
    from PIL import Image

    Image.fromarray(plane.astype(np.uint8)).save(masks / f"{case_id}_slice{other:03d}.png")
    from nnunet_sparse.campaign.progress import find_progress

    _, progress = find_progress(campaign(), masks, None, 1)
    states = progress.states[case_id]
    assert i in states.todo
    assert i not in states.annotated


def test_the_whole_way_of_a_prefilled_round(
    prefilled: tuple[Path, str, int], paths: NnUNetPaths
) -> None:
    there, case_id, i = prefilled
    truth = there / "truth"
    annotate(Path("campaign"), truth)
    assert import_campaign(["campaign", *ONE]) == 0
    label = load(paths.raw / f"Dataset500_campaign/labelsTr/{case_id}.nii.gz")
    np.testing.assert_array_equal(
        np.moveaxis(label, 2, 0)[i], np.moveaxis(load(truth / f"{case_id}.nii.gz"), 2, 0)[i]
    )


@pytest.mark.usefixtures("there")
def test_a_killed_call_is_finished_without_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--model", model(), "-f", "0", "--prefill_prediction")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ask_more, "finish_round", killed)
        assert extend(*options) == INTERRUPTED
    assert [r.complete for r in campaign().rounds] == [True, False]
    shutil.rmtree("results")
    assert worklist(["status", "campaign", *ONE]) == 0
    assert campaign().is_complete
    for case_id, found in handed_out_slices().items():
        for i, plane in found.items():
            np.testing.assert_array_equal(planes(case_id)[i].T, plane)


@pytest.mark.usefixtures("there")
def test_the_same_call_after_a_kill_adds_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--model", model(), "-f", "0", "--prefill_prediction")
    with monkeypatch.context() as patched:

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        patched.setattr(ask_more, "finish_round", killed)
        assert extend(*options) == INTERRUPTED
    asked = campaign().rounds[1].slices
    assert extend(*options) == 0
    assert len(campaign().rounds) == 2
    assert campaign().rounds[1].slices == asked


@pytest.mark.slow
@pytest.mark.usefixtures("there")
def test_labels_of_the_annotators_are_not_read_by_the_network() -> None:
    assert extend("--model", model(), "-f", "0", "--dry_run") == 0
    shutil.copytree("campaign", "other", symlinks=True)
    for case_id in campaign().asked_cases:
        for i in campaign().asked(case_id):
            change(case_id, i, lambda plane: plane.fill(2))
    assert extend("--model", model(), "-f", "0") == 0
    one = campaign().rounds[1].slices
    shutil.rmtree("campaign")
    shutil.move("other", "campaign")
    assert extend("--model", model(), "-f", "0") == 0
    assert campaign().rounds[1].slices == one


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize(
    ("options", "budget", "selector", "message"),
    [
        ((), 5, "clasp_pe", "selector clasp_pe asks a network .*--model FOLDER"),
        (("--prefill_prediction",), 5, "random", "--prefill_prediction needs a network"),
        (("--model", model()), 5, "random", "selector random asks no network"),
        (("--model", model()), 500, "entropy", "budget is 500 slices, .* have 42"),
        (("--model", model(), "-f", "0"), 5, "bald", "bald compares the networks .* there are 1"),
        (("--model", model(), "-f", "7"), 5, "entropy", "fold_7"),
        (("--model", "nowhere"), 5, "entropy", "nowhere is no folder"),
        (("-f", "0"), 5, "random", "-f works with --model"),
    ],
)
def test_what_is_refused(
    options: tuple[str, ...], budget: int, selector: str, message: str, capsys: Capture
) -> None:
    before = tree(Path("campaign"))
    assert extend(*options, budget=budget, selector=selector) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert re.search(message, told[-1])
    assert tree(Path("campaign")) == before


@pytest.mark.usefixtures("there")
def test_another_network_and_images_that_are_gone_are_refused(capsys: Capture) -> None:
    other = plans(patch=(8, 8), dataset="Dataset600_Other")
    folder = write_model(Path("results"), other, dataset_json({"background": 0, "heart": 1}))
    assert extend("--model", str(folder)) == 2
    assert "was trained with the channels MR" in capsys.readouterr().err
    for image in Path("campaign/images").iterdir():
        image.unlink()
    before = tree(Path("campaign"))
    assert extend("--model", model()) == 2
    assert "a_0000.nii.gz does not exist; put the volume back" in capsys.readouterr().err
    assert tree(Path("campaign")) == before


def test_damaged_predictions_are_named(prefilled: tuple[Path, str, int], capsys: Capture) -> None:
    _, case_id, _ = prefilled
    file = predictions_file(campaign(), 1, case_id)
    file.write_bytes(file.read_bytes()[:100])
    assert worklist(["status", "campaign", *ONE]) == 0
    assert f"{file}, what the network predicted" in capsys.readouterr().out


def test_the_first_round_has_no_network(tmp_path: Path, capsys: Capture) -> None:
    scans = write_scans(tmp_path / "scans")
    asked = ("--labels", "ball", "--budget", "4", "--selector", "entropy", *ONE)
    for dry in ((), ("--dry_run",)):
        assert worklist(["make", str(scans), "-o", str(tmp_path / "new"), *asked, *dry]) == 2
        assert "selector entropy asks a network that was trained" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_the_help_names_selectors_where_they_can_be_used(capsys: Capture) -> None:
    for command, is_named in (("make", False), ("extend", True)):
        with pytest.raises(SystemExit):
            worklist_command.main([command, "--help"])
        assert ("clasp_pe" in capsys.readouterr().out) is is_named


def test_nibabel_reads_what_is_prefilled(prefilled: tuple[Path, str, int]) -> None:
    _, case_id, _ = prefilled
    label = nibabel.load(f"campaign/labels/{case_id}.nii.gz")  # type: ignore[attr-defined]
    image = nibabel.load(f"campaign/images/{case_id}_0000.nii.gz")  # type: ignore[attr-defined]
    np.testing.assert_allclose(label.affine, image.affine, atol=1e-5)
