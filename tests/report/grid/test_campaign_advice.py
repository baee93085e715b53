import re
import shlex
from pathlib import Path

import pytest
from campaign.annotator import annotate, read_rows
from campaign.made_campaigns import CampaignCopier, copy_campaign
from conftest import BaseMaker
from grid_fixtures import write_grid
from grid_results import grid_of_results, result

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.cost_fit import Pace
from nnunet_sparse.campaign.slice_times import SliceTime, add_times
from nnunet_sparse.campaign.worklist_command import main as worklist
from nnunet_sparse.report.grid import campaign_advice as module
from nnunet_sparse.report.grid.advise_command import main
from nnunet_sparse.report.grid.remaining_work import RemainingWork

__all__ = ["copy_campaign"]

ONE = ("-np", "1")
GRID = """\
nnunet: nnunet
tasks:
  - base: 4
configurations:
  - configuration: 2d
"""


@pytest.fixture
def campaign(no_paths: Path, copy_campaign: CampaignCopier) -> Path:
    """3 of 12 slices of each of four volumes are asked for; a slice takes 36 s."""
    folder = copy_campaign(no_paths)
    time(folder)
    return folder


def time(campaign: Path, number: int = 25, seconds: float = 36) -> None:
    times = [SliceTime(f"v{k}", "a", k, "mk", seconds, "done", 1) for k in range(number)]
    add_times(Campaign.read(campaign), times)


def advised(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main([*words, *ONE]) == 0
    return capsys.readouterr().out


def status_of(*words: str) -> object:
    """Exit status, also where the parser ends the program."""
    try:
        return main([*words, *ONE])
    except SystemExit as end:
        return end.code


def commands(text: str) -> list[list[str]]:
    """Arguments of each command that is printed."""
    lines = [line.strip() for line in text.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("nnsparse_worklist")]


@pytest.mark.usefixtures("campaign")
def test_what_hours_buy_worked_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    """12 slices are asked for: 0.205 h are 20.5 slices, of which 8 are left."""
    text = advised(capsys, "--campaign", "campaign", "--hours", "0.205", "0.105", "1")
    assert "measured: 25 slices: 36 s (36 to 36) for a slice, 0 s (0 to 0) for opening" in text
    assert "asked:    12 slices asked for and not annotated, about 7 min" in text
    assert "0.205 h: 8 more slices (8 to 8)\n" in text
    assert "0.105 h: no more slices: what is asked for takes longer\n" in text
    assert "nnsparse_annotate campaign" in text
    assert "1 h: 36 more slices (36 to 36), all that are left\n" in text
    assert "arXiv 2412.08081" in text
    assert text.count("arXiv 2412.08081") == 1
    assert (
        "2D and 3D: 8 more slices in 4 volumes; 20 in all, density 0.42 in 4 of 4 volumes" in text
    )
    assert commands(text) == [
        ["extend", "campaign", "--budget", "8"],
        ["extend", "campaign", "--budget", "36"],
    ]


def test_the_command_asks_for_what_is_said(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    annotate(campaign, campaign.parent / "truth")
    text = advised(capsys, "--campaign", "campaign", "--hours", "0.105")
    assert "asked:    0 slices asked for and not annotated\n" in text
    (words,) = commands(text)
    assert worklist([*words, *ONE]) == 0
    assert len(read_rows(campaign)) == 12 + 10
    # what is asked for now takes the time
    assert "no more slices" in advised(capsys, "--campaign", "campaign", "--hours", "0.05")


def test_opening_volumes_and_reading_twice_is_counted_in() -> None:
    """10 s a slice and 60 s a volume, in 3 volumes of 10 slices."""
    campaign = Campaign(Path(), {}, 0, "axial", {}, ())
    work = RemainingWork(campaign, 2, 1, {"a": 0, "b": 0, "c": 0}, 0.0)
    object.__setattr__(work, "order", ["a", "b", "c"])
    object.__setattr__(work, "free", 30)
    pace = Pace(10, 60)
    assert work.seconds(pace) == 80
    assert work.affordable(79, pace) == 0
    assert work.affordable(80 + 69, pace) == 0
    assert work.affordable(80 + 70, pace) == 1
    assert work.affordable(80 + 3 * 70, pace) == 3
    assert work.affordable(80 + 3 * 70 + 19, pace) == 4
    assert work.affordable(10**6, pace) == 30
    twice = RemainingWork(campaign, 2, 1, work.taken, 0.5)
    object.__setattr__(twice, "order", ["a", "b", "c"])
    object.__setattr__(twice, "free", 30)
    # 6 slices in 3 volumes, and 3 of them again in 3
    assert twice.affordable(80 + 60 + 180 + 30 + 180, pace) == 6
    assert twice.affordable(80 + 60 + 180 + 30 + 180 - 1, pace) == 5


def test_second_readings(
    no_paths: Path, copy_campaign: CampaignCopier, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign = copy_campaign(no_paths, "abcd", "--second_reader", "0.5")
    time(campaign)
    text = advised(capsys, "--campaign", "campaign", "--hours", "0.305")
    assert "asked:    18 slices asked for and not annotated" in text  # 12 and 6
    assert "a share of 0.5 is read twice" in text
    assert "0.305 h: 8 more slices" in text  # 30.5 - 18 = 12.5 slices, of which 4 again
    (words,) = commands(text)
    assert worklist([*words, *ONE]) == 0
    assert len(read_rows(campaign / "second_reading")) == 6 + 4


def test_intervals_hold_what_is_bought(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (campaign / "slice_times.csv").unlink()
    times = [SliceTime(f"v{k}", "a", k, "mk", 20 + 4 * (k % 9), "done", 1) for k in range(27)]
    add_times(Campaign.read(campaign), times)  # 36 s in the mean
    text = advised(capsys, "--campaign", "campaign", "--hours", "0.205")
    found = re.search(r"0.205 h: (\d+) more slices \((\d+) to (\d+)\)", text)
    assert found is not None
    count, low, high = map(int, found.groups())
    assert low < count == 8 < high


@pytest.mark.usefixtures("campaign")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name an experiment file, or a campaign"),
        (["grid.yaml"], "say with --budget N how many"),
        (["--hours", "1"], "--hours needs a campaign"),
        (["grid.yaml", "--hours", "1"], "--hours needs a campaign"),
        (["--campaign", "campaign"], "say with --hours H how many"),
        (["--campaign", "campaign", "--hours", "1", "--budget", "5"], "instead of --budget"),
        (["--campaign", "nowhere", "--hours", "1"], "nowhere is no campaign"),
        (["--campaign", "campaign", "--hours", "0"], "must be a number above 0, got '0'"),
        (["--campaign", "campaign", "--hours", "-2"], "must be a number above 0, got '-2'"),
        (["--campaign", "campaign", "--hours", "nan"], "must be a number above 0, got 'nan'"),
        (["--campaign", "campaign", "--hours", "inf"], "must be a number above 0, got 'inf'"),
        (["--campaign", "campaign", "--hours", "2h"], "must be a number above 0, got '2h'"),
    ],
)
def test_refusals(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert status_of(*words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("number", [0, 19])
def test_too_few_times(
    no_paths: Path, copy_campaign: CampaignCopier, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    folder = copy_campaign(no_paths)
    if number:
        time(folder, number)
    assert main(["--campaign", "campaign", "--hours", "1", *ONE]) == 2
    error = capsys.readouterr().err
    assert f"slice_times.csv holds measured times of {number} slices" in error
    assert error.count("\n") == 1


def test_labels_that_cannot_be_read(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (campaign / "labels" / "b.nii.gz").write_bytes(b"half")
    assert main(["--campaign", "campaign", "--hours", "1", *ONE]) == 2
    assert "b.nii.gz is damaged" in capsys.readouterr().err


@pytest.mark.usefixtures("campaign")
def test_every_slice_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert worklist(["extend", "campaign", "--budget", "36", *ONE]) == 0
    text = advised(capsys, "--campaign", "campaign", "--hours", "10")
    assert "10 h: every slice of these volumes is asked for or annotated already" in text
    assert not commands(text)


def test_thin_slices_in_3d(no_paths: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Below the paper's lowest density fewer volumes are another answer in 3D."""
    volumes = {f"v{k}": 0 for k in range(10)}
    campaign = Campaign.read(make_many(no_paths, len(volumes)))
    time(campaign.folder)
    text = advised(capsys, "--campaign", "many", "--hours", "0.055")
    # 5.5 slices, 1 of which is asked for: 5 of 10 x 20 in all
    assert "2D: 4 more slices in 4 volumes; 5 in all, density 0.025 in 10 of 10 volumes, a" in text
    assert "3D: 4 more slices in 4 volumes; 5 in all, density 0.05 in 5 of 10 volumes\n" in text
    assert "ATLAS: 4 more slices in 1 volume; 5 in all, density 0.25 in 1 of 10 volumes\n" in text
    flat, deep, like_atlas = commands(text)
    assert like_atlas == ["extend", "many", "--budget", "4"]
    assert flat[-2:] == ["--s", "1"]
    assert deep[-2:] == ["--s", "0.5"]
    assert worklist([*deep, *ONE]) == 0
    assert len(Campaign.read(campaign.folder).rounds[1].slices) in {4, 5}


def make_many(folder: Path, number: int) -> Path:
    import numpy as np
    from tiny import write_volume

    for k in range(number):
        write_volume(folder / "scans" / f"v{k}.nii.gz", np.full((20, 5, 4), k, np.float32))
    words = ["make", "scans", "-o", "many", "--labels", "ball", "--budget", "1", "--s", "0.1"]
    assert worklist([*words, *ONE]) == 0
    return folder / "many"


def test_an_experiment_beside_it(
    campaign: Path,
    make_base: BaseMaker,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_base(num_train=6)
    grid = write_grid(campaign.parent, GRID)
    found = grid_of_results()
    monkeypatch.setattr(module, "read_results", lambda _: found)
    words = (str(grid.file), "--campaign", "campaign", "--hours")
    text = advised(capsys, *words, "0.165")  # 4 more: 16 of 48, a third
    assert "used: 36 of 36 trainings" in text
    assert "4 more slices, 16 in all, in 4 of 4 volumes" in text
    assert "selector random" in text
    assert "arXiv" not in text
    (command,) = commands(text)
    assert command == ["extend", "campaign", "--budget", "4", "--selector", "random"]
    assert worklist([*command, *ONE]) == 0
    assert Campaign.read(campaign).rounds[1].variant.selector == "random"


def test_results_that_do_not_cover_it_leave_the_word_to_the_paper(
    campaign: Path,
    make_base: BaseMaker,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_base(num_train=6)
    grid = write_grid(campaign.parent, GRID)
    for results, said in (
        ([result(task="Tiny")], "at least 3 are needed"),
        (grid_of_results(), "they cover budgets of 1 to 20 slices, not 48"),
    ):
        monkeypatch.setattr(module, "read_results", lambda _, results=results: results)
        text = advised(capsys, str(grid.file), "--campaign", "campaign", "--hours", "9")
        assert said in text
        assert "arXiv 2412.08081" in text
        assert commands(text) == [["extend", "campaign", "--budget", "36"]]
