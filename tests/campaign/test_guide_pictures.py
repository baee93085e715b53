import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image
from tiny import array

from nnunet_sparse.campaign import guide_pictures
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.guide_pictures import draw_asked, draw_prefilled, upright_view
from nnunet_sparse.data.affines import RAS_TO_LPS
from nnunet_sparse.data.geometry import read_geometry

_VEIL = round(0.55 * 128)
_CODES = [
    "".join(letters)
    for axes in itertools.permutations(("RL", "AP", "SI"))
    for letters in itertools.product(*axes)
]
_OBLIQUE = np.array([[0.9, -0.3, 0.1], [0.3, 0.9, -0.1], [-0.1, 0.1, 0.95]])


@pytest.fixture
def tiles(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Pictures and texts of the sheet that is drawn next."""
    drawn: list[Any] = []
    sheet = guide_pictures._sheet

    def noted(shown: Sequence[Any], title: Sequence[str]) -> Image.Image:
        drawn.extend(shown)
        return sheet(shown, title)

    monkeypatch.setattr(guide_pictures, "_sheet", noted)
    return drawn


def _stored(canonical: np.ndarray, codes: str) -> tuple[np.ndarray, np.ndarray]:
    """An array that runs to right, anterior and superior as a file stores it; (z, y, x), RAS."""
    image = nibabel.Nifti1Image(canonical, np.eye(4))
    wanted = nibabel.orientations.axcodes2ornt(codes)
    turned: Any = image.as_reoriented(
        nibabel.orientations.ornt_transform(nibabel.io_orientation(image.affine), wanted)
    )
    return np.asarray(turned.dataobj).T, turned.affine


@pytest.mark.parametrize("is_oblique", [False, True])
def test_slices_are_upright_however_they_are_stored(is_oblique: bool) -> None:
    canonical = np.arange(60, dtype=np.int16).reshape(3, 4, 5)  # to right, anterior, superior
    upright = {
        # anterior up, right on the left
        "axial": canonical[::-1, ::-1, 1].T,
        # superior up, right on the left
        "coronal": canonical[::-1, 1, ::-1].T,
        # superior up, anterior on the left
        "sagittal": canonical[1, ::-1, ::-1].T,
    }
    for codes, (normal, (plane, expected)) in itertools.product(
        _CODES, zip(("SI", "AP", "RL"), upright.items(), strict=True)
    ):
        array, affine = _stored(canonical, codes)
        if is_oblique:
            affine[:3, :3] = _OBLIQUE @ affine[:3, :3]
        axis = next(2 - i for i, letter in enumerate(codes) if letter in normal)
        view = upright_view((RAS_TO_LPS @ affine)[:, [2, 1, 0, 3]], axis)
        assert view.plane == plane
        index = 1 if codes[2 - axis] == normal[0] else array.shape[axis] - 2
        found = view.turned(np.take(array, index, axis))
        np.testing.assert_array_equal(found, expected, err_msg=f"{codes}, {plane}")


def test_a_file_without_directions_is_an_axial_stack() -> None:
    pixels = np.arange(6).reshape(2, 3)
    view = upright_view(None, 0)
    assert view.plane == "axial"
    np.testing.assert_array_equal(view.turned(pixels), pixels)


@pytest.mark.parametrize("codes", ["RAS", "LPI", "PSR"])
def test_the_picture_of_a_file_is_upright(
    write_campaign: Any, tmp_path: Path, tiles: list[Any], codes: str
) -> None:
    canonical = np.zeros((8, 8, 4), np.float32)
    canonical[4:, 4:] = 1  # right and anterior
    stored, affine = _stored(canonical, codes)
    axis = next(2 - i for i, letter in enumerate(codes) if letter in "SI")
    campaign = write_campaign({"a": (2,)}, stored, affine, axis)
    draw_asked(campaign, "a", tmp_path / "a.png")
    corners = np.asarray(tiles[0].picture)[[[20, 20], [-20, -20]], [[20, -20], [20, -20]]]
    assert corners.tolist() == [[255, 0], [0, 0]]


@pytest.mark.parametrize(
    ("shape", "spacing", "size"),
    [
        # 5 mm wide and 12 mm high, enlarged to 160 pixels
        ((4, 6, 5), (1, 2, 9), (67, 160)),
        # 200 mm and 400 mm, as it is
        ((1, 200, 100), (2, 2, 9), (100, 200)),
        # 800 mm and 200 mm, shrunk to 320 pixels
        ((1, 100, 800), (1, 2, 9), (320, 80)),
    ],
)
def test_a_millimetre_is_as_long_in_both_directions(
    write_campaign: Any,
    tmp_path: Path,
    tiles: list[Any],
    shape: tuple[int, int, int],
    spacing: tuple[int, int, int],
    size: tuple[int, int],
) -> None:
    image = np.zeros(shape, np.float32)
    campaign = write_campaign({"a": (0,)}, image, np.diag([*spacing, 1]))
    draw_asked(campaign, "a", tmp_path / "a.png")
    assert tiles[0].picture.size == size


def test_aspect_of_a_transposed_slice(
    write_campaign: Any, tmp_path: Path, tiles: list[Any]
) -> None:
    # x runs to posterior and y to left: 6 voxels of 2 mm from right to left, 5 of 1 mm downwards
    affine = np.array([[0, -2, 0, 0], [-1, 0, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1.0]])
    draw_asked(write_campaign({"a": (0,)}, affine=affine), "a", tmp_path / "a.png")
    assert tiles[0].picture.size == (160, 67)


def test_each_slice_has_its_own_number(
    write_campaign: Any, tmp_path: Path, tiles: list[Any]
) -> None:
    image = np.repeat(np.linspace(0, 255, 52, dtype=np.float32), 30).reshape(52, 6, 5)
    campaign = write_campaign({"a": (3, 10, 51)}, image, channels=("CT",))
    draw_asked(campaign, "a", tmp_path / "a.png")
    assert [tile.lines for tile in tiles] == [
        ("slice 3", "from 1: 4"),
        ("slice 10", "from 1: 11"),
        ("slice 51", "from 1: 52"),
    ]
    # black is -150 HU and white 250 HU
    brightness = [np.unique(np.asarray(tile.picture)).tolist() for tile in tiles]
    assert brightness == [[round((5 * i + 150) / 400 * 255)] for i in (3, 10)] + [[255]]


def test_a_sheet_has_eight_columns(write_campaign: Any, tmp_path: Path) -> None:
    for count, rows in ((8, 1), (9, 2)):
        image = np.zeros((9, 6, 6), np.float32)
        campaign = write_campaign({"a": tuple(range(count))}, image, name=str(count))
        draw_asked(campaign, "a", tmp_path / "a.png")
        with Image.open(tmp_path / "a.png") as picture:
            black = np.asarray(picture) == 0
        assert picture.width == 8 * 160 + 7 * 12 + 2 * 14
        assert black.sum() == count * 160 * 160
        assert (np.diff(black.any(axis=1).astype(int)) == 1).sum() == rows


@pytest.fixture
def prefilled(write_campaign: Any) -> Campaign:
    """Slice 1 of 4 is asked for; z runs to superior."""
    campaign: Campaign = write_campaign({"a": (1,)}, affine=np.diag([1, 1, 3, 1]))
    return campaign


def _colors(picture: Image.Image) -> set[tuple[int, ...]]:
    return {tuple(pixel) for pixel in np.asarray(picture).reshape(-1, 3).tolist()}


def test_only_what_is_not_asked_for_lies_under_a_veil(
    prefilled: Campaign, tmp_path: Path, tiles: list[Any]
) -> None:
    draw_prefilled(prefilled, "a", tmp_path / "a.png")
    assert [tile.lines[0] for tile in tiles] == [
        "slice 1: asked for",
        "slice 0: not asked for",
        "from the side",
    ]
    asked, beside, side = (tile.picture for tile in tiles)
    assert _colors(asked) == {(0, 0, 0)}
    assert _colors(beside) == {(_VEIL,) * 3}
    # 5 mm wide and 12 mm high; slice 3 is on top
    assert side.size == (150, 360)
    rows = np.asarray(side)[45::90, 0, 0]
    assert rows.tolist() == [_VEIL, _VEIL, 0, _VEIL]


def test_labels_that_are_painted_are_shown(
    prefilled: Campaign, tmp_path: Path, tiles: list[Any]
) -> None:
    label = array(prefilled.label_file("a"))
    label[1, 2, 3] = 2
    draw_prefilled(prefilled, "a", tmp_path / "a.png", label)
    blue = tuple(round(0.6 * c) for c in (86, 180, 233))
    assert _colors(tiles[0].picture) == {(0, 0, 0), blue}
    # the cut goes through it
    assert blue in _colors(tiles[2].picture)


def test_all_slices_are_asked_for(write_campaign: Any, tmp_path: Path, tiles: list[Any]) -> None:
    draw_prefilled(write_campaign({"a": (0, 1, 2, 3)}), "a", tmp_path / "a.png")
    assert len(tiles) == 2


@pytest.mark.parametrize(("axis", "plane"), [(0, "coronal"), (1, "sagittal"), (2, "coronal")])
def test_the_side_view_crosses_the_slices(write_campaign: Any, axis: int, plane: str) -> None:
    campaign = write_campaign({"a": (1,)}, axis=axis)
    volume = guide_pictures._read(campaign, "a")
    label = array(campaign.label_file("a"))
    across, _ = guide_pictures._across(volume, label, axis, 1, campaign.ignore_label)
    affine = read_geometry(campaign.image_files("a")[0], "SimpleITKIO").affine
    assert upright_view(affine, across).plane == plane
