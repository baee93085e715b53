import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from campaign.annotator import annotate, edit, load, read_rows, write_rows
from campaign.made_campaigns import CampaignCopier
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tree
from training_fixtures import use_paths

from nnunet_sparse.campaign import round_work
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.import_command import main as import_campaign
from nnunet_sparse.campaign.second_reading import annotator_names, choose_second, withheld
from nnunet_sparse.campaign.slice_times import SliceTime, add_times
from nnunet_sparse.campaign.worklist_command import main as worklist
from nnunet_sparse.system.paths import NnUNetPaths

ROUND = {"a": (0, 3, 5, 9), "b": (1, 2), "c": (4,), "d": (6, 7, 8)}
ONE = ("-np", "1")


@pytest.fixture
def campaign(no_paths: Path, copy_campaign: CampaignCopier) -> Path:
    """3 of 12 slices are read twice."""
    return copy_campaign(no_paths, "abcd", "--second_reader", "0.25")


def sign(campaign: Path, name: str) -> None:
    """Write who has annotated into all lines of a worklist."""
    write_rows(campaign, [{**row, "annotator": name} for row in read_rows(campaign)])


def second_slices(campaign: Path) -> dict[str, tuple[int, ...]]:
    found = Campaign.read(campaign)
    return {case_id: found.second_asked(case_id) for case_id in found.second_cases}


@pytest.mark.parametrize(
    ("share", "counts"),
    [
        (0.0, []),
        (0.001, [1]),  # one at least
        (0.24, [1, 1]),  # 2.4 of 10
        (0.25, [1, 1, 1]),  # 2.5 of 10 is rounded up
        (0.4, [1, 1, 1, 1]),
        (0.8, [1, 2, 2, 3]),  # of 8 two each, c has one, so that one of the others has three
        (1.0, [1, 2, 3, 4]),
    ],
)
def test_how_many_slices_are_read_twice(share: float, counts: list[int]) -> None:
    chosen = choose_second(ROUND, share, 0, 0)
    assert sorted(map(len, chosen.values())) == counts


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.sampled_from("abcdef"), st.sets(st.integers(0, 20), min_size=1).map(sorted), min_size=1
    ),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 5),
)
def test_they_are_spread_over_volumes_and_nested(
    slices: dict[str, list[int]], one: float, other: float, seed: int
) -> None:
    asked = {case_id: tuple(indices) for case_id, indices in slices.items()}
    small, large = (choose_second(asked, share, seed, 0) for share in sorted((one, other)))
    assert small == choose_second(dict(reversed(asked.items())), min(one, other), seed, 0)
    for case_id, indices in small.items():
        assert set(indices) <= set(large[case_id]) <= set(asked[case_id])
    most = max(map(len, large.values()), default=0)
    for case_id, indices in asked.items():  # nobody has two more, unless there are no more
        assert len(large.get(case_id, ())) >= min(most - 1, len(indices))
    total = sum(map(len, asked.values()))
    exact = sum(map(len, large.values()))
    assert abs(exact - max(one, other) * total) <= 1
    assert bool(exact) is (max(one, other) > 0)


def test_other_seeds_and_rounds_have_others() -> None:
    found = {str(choose_second(ROUND, 0.3, seed, number)) for seed in range(4) for number in (0, 1)}
    assert len(found) > 4


@pytest.mark.parametrize("share", ["-0.1", "1.01", "2", "nan", "inf"])
@pytest.mark.parametrize("command", ["make", "extend"])
def test_shares_that_are_none(
    campaign: Path, capsys: pytest.CaptureFixture[str], command: str, share: str
) -> None:
    before = tree(campaign)
    words = {
        "make": ["make", "scans", "-o", "new", "--labels", "ball", "--budget", "4"],
        "extend": ["extend", "campaign", "--budget", "4"],
    }[command]
    assert worklist([*words, *ONE, "--second_reader", share]) == 2
    error = capsys.readouterr().err
    assert f"--second_reader must lie in [0, 1], got {float(share):g}" in error
    assert error.count("\n") == 1
    assert tree(campaign) == before
    assert not Path("new").exists()


def test_what_the_second_reader_gets(campaign: Path) -> None:
    """The same kinds of files, of these slices alone, and nothing of the first reading."""
    annotate(campaign, campaign.parent / "truth")
    found, second = Campaign.read(campaign), Campaign.read(campaign / "second_reading")
    assert sum(map(len, second_slices(campaign).values())) == 3
    assert len(second.volumes) == 3
    assert {path.name for path in second.folder.iterdir()} == {
        path.name for path in campaign.iterdir()
    } - {"second_reading"}
    rows = read_rows(second.folder)
    assert {(row["case"], int(row["slice"])) for row in rows} == {
        (case_id, i) for case_id, slices in second_slices(campaign).items() for i in slices
    }
    assert {row["annotator"] for row in rows} == {""}
    for case_id in second.volumes:
        label = load(second.label_file(case_id))
        assert set(np.unique(label[..., list(second.asked(case_id))])) == {0}
        ignored = np.count_nonzero(label == second.ignore_label)
        assert ignored == label.size - label[..., 0].size * len(second.asked(case_id))
        assert second.image_files(case_id)[0].samefile(found.image_files(case_id)[0])
    page = (second.folder / "README.html").read_text("utf-8")
    assert "This is a second reading." in page
    assert "How to annotate <em>campaign, second reading</em>" in page
    around = (campaign / "README.html").read_text("utf-8")
    assert "3 of these slices are to be annotated once more" in around
    assert 'href="second_reading/README.html"' in around


def test_without_a_share_nothing_is_different(
    no_paths: Path, copy_campaign: CampaignCopier
) -> None:
    campaign = copy_campaign(no_paths)
    plain = tree(campaign)
    again = ("make", "scans", "-o", "campaign", "--labels", "ball", "core", *ONE)
    options = ("--slices_per_volume", "3", "--second_reader", "0")
    assert worklist([*again, *options]) == 0  # exists
    assert tree(campaign) == plain
    assert "second" not in (campaign / "campaign.json").read_text("utf-8")
    assert "second" not in (campaign / "README.html").read_text("utf-8").lower()


@pytest.mark.usefixtures("campaign")
def test_the_same_call_again(capsys: pytest.CaptureFixture[str]) -> None:
    again = ["make", "scans", "-o", "campaign", "--labels", "ball", "core", *ONE]
    again += ["--slices_per_volume", "3"]
    assert worklist([*again, "--second_reader", "0.25"]) == 0
    assert "exists:" in capsys.readouterr().out
    for other in ([], ["--second_reader", "0.5"]):
        assert worklist([*again, *other]) == 2
        assert "is a campaign with other --second_reader" in capsys.readouterr().err


def test_one_slice(no_paths: Path, copy_campaign: CampaignCopier) -> None:
    copy_campaign(no_paths)
    words = ["make", "scans", "-o", "one", "--labels", "ball", "--budget", "1", *ONE]
    assert worklist([*words, "--second_reader", "0.01"]) == 0
    (row,) = read_rows(Path("one"))
    (again,) = read_rows(Path("one/second_reading"))
    assert (row["case"], row["slice"]) == (again["case"], again["slice"])
    assert worklist(["status", "one", *ONE]) == 0


def test_extend_asks_for_as_many_as_before_and_leaves_what_is_read(campaign: Path) -> None:
    truth, second = campaign.parent / "truth", campaign / "second_reading"
    annotate(second, truth)
    before = second_slices(campaign)
    labels = {c: load(Campaign.read(second).label_file(c)) for c in before}
    assert worklist(["extend", "campaign", "--budget", "8", *ONE]) == 0
    after = second_slices(campaign)
    assert sum(map(len, after.values())) == 3 + 2  # a quarter of 8
    assert len(Campaign.read(second).rounds) == 2
    assert Campaign.read(second).is_complete
    for case_id, label in labels.items():
        kept = [i for i in range(12) if i not in set(after[case_id]) - set(before[case_id])]
        found = load(Campaign.read(second).label_file(case_id))
        np.testing.assert_array_equal(found[..., kept], label[..., kept])
    rows = read_rows(second)
    assert [row["round"] for row in rows] == ["1"] * 3 + ["2"] * 2
    assert [row["status"] for row in rows[3:]] == ["todo"] * 2
    assert worklist(["extend", "campaign", "--budget", "4", "--second_reader", "0", *ONE]) == 0
    assert second_slices(campaign) == after


def test_a_campaign_without_second_readings_can_get_some(
    no_paths: Path, copy_campaign: CampaignCopier
) -> None:
    campaign = copy_campaign(no_paths)
    assert worklist(["extend", "campaign", "--budget", "4", *ONE]) == 0
    assert not (campaign / "second_reading").exists()
    share = ["--second_reader", "0.5"]
    assert worklist(["extend", "campaign", "--budget", "4", *share, *ONE]) == 0
    rows = read_rows(campaign / "second_reading")
    assert [row["round"] for row in rows] == ["3", "3"]


@pytest.mark.parametrize("killed_in", ["prefill", "write_guide", "link_file"])
@pytest.mark.parametrize("again", ["status", "extend"])
def test_a_call_that_was_killed_is_finished(
    campaign: Path, monkeypatch: pytest.MonkeyPatch, killed_in: str, again: str
) -> None:
    extend = ["extend", "campaign", "--budget", "8", *ONE]
    right: Callable[..., object] = getattr(round_work, killed_in)

    def killed(*args: object, **options: object) -> object:
        if killed_in == "link_file" or getattr(args[0], "is_second_reading", False):
            raise KeyboardInterrupt
        return right(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(round_work, killed_in, killed)
        assert worklist(extend) == 130
    assert worklist(extend if again == "extend" else ["status", "campaign", *ONE]) == 0
    second = Campaign.read(campaign / "second_reading")
    assert second.is_complete
    assert len(Campaign.read(campaign).rounds) == len(second.rounds) == 2
    assert len(read_rows(second.folder)) == 5


def test_import_takes_the_first_reading(
    campaign: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    truth, second = campaign.parent / "truth", campaign / "second_reading"
    annotate(campaign, truth)
    for case_id, slices in second_slices(campaign).items():
        edit(
            second / "labels" / f"{case_id}.nii.gz",
            lambda voxels, slices=slices: voxels.__setitem__((..., list(slices)), 2),
        )
    paths = NnUNetPaths.below(campaign.parent / "nnunet")
    paths.make_folders()
    use_paths(paths, monkeypatch)
    for words, said in (
        ([str(second)], "holds second readings, which nnsparse_import does not take"),
        (["campaign", "--annotations", str(second / "labels")], "never taken in their place"),
    ):
        assert import_campaign([*words, *ONE]) == 2
        assert said in capsys.readouterr().err
    assert import_campaign(["campaign", *ONE]) == 0
    (dataset,) = paths.raw.iterdir()
    for case_id, slices in Campaign.read(campaign).rounds[0].slices.items():
        found, true = (
            load(dataset / "labelsTr" / f"{case_id}.nii.gz"),
            load(truth / f"{case_id}.nii.gz"),
        )
        np.testing.assert_array_equal(found[..., list(slices)], true[..., list(slices)])


def test_second_readings_are_not_extended(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = campaign / "second_reading"
    assert worklist(["extend", str(second), "--budget", "2", *ONE]) == 2
    assert f"name the campaign around it, {campaign}" in capsys.readouterr().err
    assert worklist(["status", str(second), *ONE]) == 0
    assert "slices:   3: 3 todo" in capsys.readouterr().out


def test_a_label_that_cannot_be_read_is_not_extended(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case_id = next(iter(second_slices(campaign)))
    Campaign.read(campaign / "second_reading").label_file(case_id).write_bytes(b"half")
    before = (campaign / "campaign.json").read_bytes()
    assert worklist(["extend", "campaign", "--budget", "4", *ONE]) == 2
    assert f"second_reading/labels/{case_id}.nii.gz is damaged" in capsys.readouterr().err
    assert (campaign / "campaign.json").read_bytes() == before
    assert worklist(["extend", "campaign", "--budget", "4", "--second_reader", "0", *ONE]) == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (shutil.rmtree, "second_reading is missing, which holds the second readings"),
        (lambda second: (second / "campaign.json").write_text("{}"), "campaign.json is damaged"),
        (lambda second: (second / "images").rename(second / "i"), "does not exist; put the volume"),
        (
            lambda second: shutil.copy(second.parent / "campaign.json", second / "campaign.json"),
            "does not hold second readings of campaign",
        ),
    ],
)
def test_a_folder_that_is_lost_or_damaged_is_said(
    campaign: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Path], object],
    said: str,
) -> None:
    change(campaign / "second_reading")
    assert worklist(["status", "campaign", *ONE]) == 0  # the first readings are all right
    shown = capsys.readouterr().out
    assert "slices:   12: 12 todo" in shown
    assert "problem:  campaign/second_reading" in shown
    assert said in shown


def test_campaigns_that_ask_twice_for_what_they_do_not_ask(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = campaign / "campaign.json"
    right = json.loads(file.read_text("utf-8"))
    second = right["rounds"][0]["second_reader"]
    for wrong, said in (
        ({"share": 0.5, "slices": {"a": [99]}}, "a has no slice 99"),
        ({"share": 0.5, "slices": {"x": [0]}}, "it has no volume x"),
        ({"share": 2, "slices": {}}, "share must be a share up to 1"),
        ({"share": 0.5}, "it lacks rounds.0.second_reader.slices"),
        ({**second, "slices": {"a": list(range(12))}}, "read twice on slices that were not asked"),
    ):
        right["rounds"][0]["second_reader"] = wrong
        file.write_text(json.dumps(right), "utf-8")
        assert worklist(["status", "campaign", *ONE]) == 2
        assert said in capsys.readouterr().err


def test_a_link_in_place_of_the_folder(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (campaign / "second_reading").rename("elsewhere")
    (campaign / "second_reading").symlink_to(Path("elsewhere").absolute())
    assert worklist(["status", "campaign", *ONE]) == 2
    assert "second_reading is a link" in capsys.readouterr().err


def test_names_of_annotators() -> None:
    assert annotator_names(" MK ") == annotator_names("mk") == {"mk"}
    assert annotator_names("mk, Jr;x & y") == {"mk", "jr", "x", "y"}
    assert annotator_names("e\u0301") == annotator_names("\u00e9")
    assert annotator_names(" ,") == frozenset()


def test_who_may_read_a_slice_again(campaign: Path) -> None:
    second = Campaign.read(campaign / "second_reading")
    keys = [(c, i) for c in second.asked_cases for i in second.asked(c)]
    assert set(withheld(second, "jr").values()) == {"nobody has annotated it yet"}
    annotate(campaign, campaign.parent / "truth")
    assert worklist(["status", "campaign", *ONE]) == 0
    assert list(withheld(second, "jr")) == keys  # nobody has said who it was
    sign(campaign, "MK, x")
    assert list(withheld(second, "mk")) == list(withheld(second, " X")) == keys
    assert withheld(second, "jr") == {}
    assert list(withheld(second, "")) == keys
    # who has corrected a slice in the window has seen it as well
    (case_id, index), *_ = keys
    add_times(Campaign.read(campaign), [SliceTime("1", case_id, index, "jr", 5, "done")])
    assert list(withheld(second, "jr")) == [(case_id, index)]
    # sent away alone, with nothing around it
    shutil.copytree(campaign / "second_reading", "alone", symlinks=False)
    assert withheld(Campaign.read(Path("alone")), "mk") == {}
