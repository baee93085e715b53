import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from campaign.annotator import annotate, break_geometry, edit, read_rows, write_rows
from campaign.conftest import save_nifti
from campaign.made_campaigns import CampaignCopier
from PIL import Image

from nnunet_sparse.campaign.asked_round import Round
from nnunet_sparse.campaign.campaign import Campaign, CampaignVolume
from nnunet_sparse.campaign.progress import find_progress
from nnunet_sparse.campaign.reader_agreement import Readings, compare_readings, compare_slices
from nnunet_sparse.campaign.round_work import finish_round
from nnunet_sparse.campaign.worklist_command import main as worklist
from nnunet_sparse.selection.variant import Variant

ONE = ("-np", "1")
IGNORE = 3
# axes of the file turned, flipped and oblique; voxels of 1 x 2 x 5 mm
TURNED = np.array([[0, -2.0, 0, 5], [0.6, 0, 4.0, -7], [0.8, 0, -3.0, 2], [0, 0, 0, 1]])


def planes(*rows: str) -> np.ndarray:
    """A slice as it is drawn: labels by digit, and ``.`` for background."""
    return np.array([[0 if c == "." else int(c) for c in row] for row in rows], np.uint8)


def test_worked_by_hand() -> None:
    """Rows lie 3 mm apart, columns 1 mm."""
    first = planes("11....", "11....", "......", "....2.")
    second = planes("......", "11....", "11....", "......")
    found = compare_slices(first, second, {"one": [1], "two": [2], "three": [3]}, (3.0, 1.0), 4)
    assert found["one"].counts.dice == 0.5
    assert found["one"].hd95_mm == 3.0  # one row further
    assert found["two"].counts.dice == 0
    assert found["two"].is_shown_by_one
    assert math.isnan(found["two"].hd95_mm)
    assert not found["three"].is_shown
    assert math.isnan(found["three"].counts.dice)


def test_pixels_that_either_of_them_leaves_open_are_left_out() -> None:
    first, second = planes("1133", "1133"), planes("1311", "1311")
    found = compare_slices(first, second, {"one": [1]}, (1, 1), IGNORE)["one"]
    assert (found.counts.tp, found.counts.fp, found.counts.fn) == (2, 0, 0)
    assert found.hd95_mm == 0


def test_regions_are_unions_of_labels() -> None:
    first, second = planes("12.."), planes("21..")
    found = compare_slices(first, second, {"whole": [1, 2], "core": [2]}, (1, 1), IGNORE)
    assert found["whole"].counts.dice == 1
    assert found["core"].counts.dice == 0
    assert found["core"].hd95_mm == 1


KINDS: dict[str, dict[str, Any]] = {
    "axis 0": {},
    "axis 1, anisotropic": {"axis": 1, "affine": np.diag([1.0, 2, 5, 1])},
    "axis 2, turned": {"axis": 2, "affine": TURNED},
    "2D": {"shape": (1, 9, 8)},
    "15 labels": {"labels": {f"organ {k}": k for k in range(1, 16)}},
    "regions": {"labels": {"whole": [1, 2], "core": [2]}, "regions_class_order": [1, 2]},
}


def read_twice(folder: Path, kind: dict[str, Any]) -> Campaign:
    """All slices of two volumes are read twice."""
    shape, axis = kind.get("shape", (5, 9, 8)), kind.get("axis", 0)
    slices = dict.fromkeys("ab", tuple(range(shape[axis])))
    dataset: dict[str, Any] = {
        "channel_names": {"0": "MR"},
        "labels": {"background": 0, **kind.get("labels", {"organ": 1, "lesion": 2})},
    }
    if "regions_class_order" in kind:
        dataset["regions_class_order"] = kind["regions_class_order"]
    volumes = {case_id: CampaignVolume(shape[axis], (case_id,)) for case_id in slices}
    asking = Round(Variant(1.0), slices, second_share=1.0, second_slices=slices)
    campaign = Campaign(folder, dataset, axis, "axial", volumes, (asking,))
    for case_id in slices:
        for file in campaign.image_files(case_id):
            save_nifti(file, np.zeros(shape, np.float32), kind.get("affine"))
    campaign.write()
    return finish_round(campaign, 1)


def paint(campaign: Campaign, case_id: str, label: np.ndarray) -> None:
    image: Any = nibabel.load(campaign.image_files(case_id)[0])  # type: ignore[attr-defined]
    nibabel.save(nibabel.Nifti1Image(label.T, image.affine), campaign.label_file(case_id))


def readings_of(campaign: Campaign) -> Readings:
    answers, progress = find_progress(campaign, None, None, 1)
    found = compare_readings(campaign, answers, progress, 1)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_of_campaign(tmp_path: Path, kind: dict[str, Any]) -> None:
    """Counts, and distances by brute force, of what two people have painted."""
    campaign = read_twice(tmp_path / "campaign", kind)
    second = Campaign.read(campaign.folder / "second_reading")
    highest, rng = campaign.ignore_label - 1, np.random.default_rng(0)
    labels = {}
    for case_id in "ab":
        for of_whom in (campaign, second):
            shape = kind.get("shape", (5, 9, 8))
            label = rng.integers(0, highest + 1, shape) * (rng.random(shape) < 0.3)
            np.moveaxis(label, campaign.axis, 0)[:, 0, 0] = highest  # never as prefilled
            labels[case_id, of_whom.folder] = label.astype(np.uint8)
            paint(of_whom, case_id, labels[case_id, of_whom.folder])
    found = readings_of(campaign)
    affine = kind.get("affine", np.eye(4))
    # lengths of the file's axes (x, y, z), of which the array has the last first
    spacing = np.delete(np.linalg.norm(affine[:3, :3], axis=0)[::-1], campaign.axis)
    names = {"whole": (1, 2), "core": (2,)}
    if "regions" not in str(kind):
        names = {name: (value,) for value, name in campaign.label_names.items()}
    assert list(found.labels) == list(names)
    for name, values in names.items():
        expected = []
        for case_id in "ab":
            ours, theirs = (
                np.isin(np.moveaxis(labels[case_id, c.folder], c.axis, 0), values)
                for c in (campaign, second)
            )
            for one, two in zip(ours, theirs, strict=True):
                expected.append((*overlap(one, two), distance(one, two, spacing)))
        got = [(s.counts.tp, s.counts.fp, s.counts.fn, s.hd95_mm) for s in found.labels[name]]
        np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert found.num_unnamed == len(got)


def overlap(one: np.ndarray, two: np.ndarray) -> tuple[int, int, int]:
    return int((one & two).sum()), int((two & ~one).sum()), int((one & ~two).sum())


def distance(one: np.ndarray, two: np.ndarray, spacing: np.ndarray) -> float:
    """95th percentile of the distances between the edges, the larger of both directions."""
    if not (one.any() and two.any()):
        return math.nan
    points = [np.argwhere(edge(mask)) * spacing for mask in (one, two)]
    between = np.linalg.norm(points[0][:, None] - points[1][None], axis=-1)
    return float(max(np.quantile(between.min(axis=k), 0.95) for k in (0, 1)))


def edge(mask: np.ndarray) -> np.ndarray:
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner


@pytest.fixture
def campaign(no_paths: Path, copy_campaign: CampaignCopier) -> Path:
    """6 of 12 slices are read twice, the first reading is done, by Ada."""
    folder = copy_campaign(no_paths, "abcd", "--second_reader", "0.5")
    annotate(folder, no_paths / "truth", minutes=1)
    rows = read_rows(folder)
    write_rows(folder, [{**row, "annotator": "Ada"} for row in rows])
    return folder


def sign(folder: Path, name: str) -> None:
    write_rows(folder, [{**row, "annotator": name} for row in read_rows(folder)])


def status(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert worklist(["status", "campaign", *ONE]) == 0
    return capsys.readouterr().out


def test_status_shows_how_far_readers_agree(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = campaign / "second_reading"
    assert "second:   6: 6 todo, 0 done, 0 confirmed empty" in status(capsys)
    annotate(second, campaign.parent / "truth")
    sign(second, "jr")
    shown = status(capsys)
    assert "second:   6: 0 todo" in shown
    assert "; 6 compared" in shown
    line = next(line for line in shown.splitlines() if line.startswith("ball"))
    assert "1.000" in line
    assert "0.00 to 0.00" in line
    assert "look at" not in shown
    assert {row["status"] for row in read_rows(second)} <= {"done", "confirmed empty"}


def test_who_has_read_a_slice_before_is_not_compared(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = campaign / "second_reading"
    annotate(second, campaign.parent / "truth")
    rows = read_rows(second)
    for row, name in zip(rows, (" ada ", "jr", "Ada, jr", "", "jr", "jr"), strict=True):
        row["annotator"] = name
    write_rows(second, rows)
    shown = status(capsys)
    assert "; 4 compared" in shown
    for row in (rows[0], rows[2]):
        assert f"{row['case']}, slice" in shown
    assert "the second reading is by the first annotator, and is not compared" in shown
    assert "without a name in both columns annotator: 1" in shown


def _other_shape(file: Path) -> None:
    save_nifti(file, np.zeros((20, 9, 8), np.uint8), np.eye(4))


def _other_value(file: Path) -> None:
    edit(file, lambda voxels: voxels.fill(9))


def _masks(file: Path) -> None:
    """As other programs deliver them: a picture of each slice."""
    campaign, case_id = Campaign.read(file.parents[1]), file.name.removesuffix(".nii.gz")
    for i in campaign.asked(case_id):
        picture = np.zeros((9, 8), np.uint8)
        picture[4, 4] = 1
        Image.fromarray(picture).save(file.with_name(f"{case_id}_slice{i:03d}.png"))


@pytest.mark.parametrize(
    ("change", "said", "compared"),
    [
        (Path.unlink, "is missing (second reading)", 4),
        (lambda file: file.write_bytes(b"half"), "is damaged", 4),
        (_other_shape, "problem:  campaign/second_reading/labels/", 4),
        (_other_value, "holds the values 9", 4),
        (lambda file: shutil.copy(file, file.with_name("x.nii.gz")), "belongs to no case", 6),
        (_masks, "; 6 compared", 6),
    ],
)
def test_second_labels_of_every_kind(
    campaign: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Path], object],
    said: str,
    compared: int,
) -> None:
    second = campaign / "second_reading"
    case_id = next(c for c in "abcd" if len(Campaign.read(second).asked(c)) == 2)
    file = second / "labels" / f"{case_id}.nii.gz"
    if change is not _masks:
        annotate(second, campaign.parent / "truth")
    else:
        others = {(r["case"], int(r["slice"])) for r in read_rows(second) if r["case"] == case_id}
        annotate(second, campaign.parent / "truth", others)
    sign(second, "jr")
    change(file)
    shown = status(capsys)
    assert said in shown
    assert f"; {compared} compared" in shown


def test_first_labels_that_cannot_be_read_are_not_compared(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    second = campaign / "second_reading"
    annotate(second, campaign.parent / "truth")
    sign(second, "jr")
    case_id = next(c for c in "abcd" if len(Campaign.read(second).asked(c)) == 2)
    break_geometry(campaign, case_id)
    assert "; 4 compared" in status(capsys)
