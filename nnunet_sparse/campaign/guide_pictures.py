"""Pictures of the slices of a campaign, as annotation tools show them.

Slices are drawn *upright*: axial ones with anterior up and the patient's right on the left,
coronal ones with superior up and the patient's right on the left, sagittal ones with superior up
and anterior on the left.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.label_descriptions import IGNORE_COLOR
from nnunet_sparse.campaign.predicted_slices import PredictedSlices, reasons
from nnunet_sparse.campaign.prefilled_label import prefilled_label
from nnunet_sparse.campaign.uncertainty_picture import uncertainty_picture
from nnunet_sparse.data.geometry import PLANES, read_geometry
from nnunet_sparse.data.image_files import read_image
from nnunet_sparse.data.label_colors import label_color
from nnunet_sparse.data.sliced_volume import window_of, windowed
from nnunet_sparse.system.atomic import atomic_path

# rows of the LPS frame
_SUPERIOR = PLANES["axial"]
# ... that pictures run along, downwards and rightwards
_DOWN_RIGHT = {"axial": (1, 0), "coronal": (2, 0), "sagittal": (2, 1)}
_SIDES = {
    "axial": "anterior is up, the patient's right is on the left",
    "coronal": "the head is up, the patient's right is on the left",
    "sagittal": "the head is up, anterior is on the left",
}
_COUNTING = "numbers from 0 as in 3D Slicer, napari and MITK; from 1 as in ITK-SNAP"
_ACROSS = {"axial": "coronal", "coronal": "sagittal", "sagittal": "coronal"}
# pixels on the longer side of a slice
_MIN_SIDE, _MAX_SIDE = 160, 320
_PANEL_SIDE = 360
_SHEET_WIDTH, _MAX_COLUMNS = 1700, 8
_GAP, _MARGIN = 12, 14
_TEXT_PIXELS, _LINE_PIXELS = 14, 19
_BACK, _TEXT, _MUTED = "#16181c", "#f2f4f7", "#a5adb8"
_VEIL_OPACITY, _LABEL_OPACITY = 0.55, 0.6


@dataclass(frozen=True)
class UprightView:
    """How slices of an array must be turned to be upright.

    Attributes
    ----------
    plane
        What they are closest to: ``axial``, ``coronal`` or ``sagittal``.
    is_transposed
        Whether rows and columns change places, before anything is flipped.
    flips
        Whether rows and columns run the other way.
    """

    plane: str
    is_transposed: bool
    flips: tuple[bool, bool]

    def turned(self, pixels: np.ndarray) -> np.ndarray:
        """Turn a slice (row, column); colours may follow."""
        turned = np.swapaxes(pixels, 0, 1) if self.is_transposed else pixels
        return np.flip(turned, tuple(axis for axis in (0, 1) if self.flips[axis]))


def upright_view(affine: np.ndarray | None, axis: int) -> UprightView:
    """Find how slices along an array axis must be turned to be upright.

    Parameters
    ----------
    affine
        (4, 4) matrix from (z, y, x) indices to LPS positions; None counts as an axial stack whose
        axes run to superior, posterior and left.
    axis
        Array axis that the slices are stacked along.
    """
    matrix = np.eye(3)[:, ::-1] if affine is None else affine[:3, :3]
    directions = matrix / np.linalg.norm(matrix, axis=0)
    normal = int(np.argmax(np.abs(directions[:, axis])))
    plane = next(name for name, row in PLANES.items() if row == normal)
    down, right = _DOWN_RIGHT[plane]
    rows, columns = np.delete(directions, axis, axis=1).T
    is_transposed = bool(
        abs(rows[right]) + abs(columns[down]) > abs(rows[down]) + abs(columns[right])
    )
    if is_transposed:
        rows, columns = columns, rows
    # pictures run to posterior and left, but away from superior
    downwards = -rows[down] if down == _SUPERIOR else rows[down]
    return UprightView(plane, is_transposed, (bool(downwards < 0), bool(columns[right] < 0)))


@dataclass(frozen=True)
class _Volume:
    """First channel (z, y, x) of a case, and where it lies."""

    image: np.ndarray
    spacing_mm: np.ndarray
    affine: np.ndarray | None
    window: tuple[float, float]

    def gray(self, axis: int, index: int) -> np.ndarray:
        """Brightness from 0 to 1 of a slice as it is stored."""
        shares = windowed(np.take(self.image, index, axis), self.window)
        return np.asarray(np.nan_to_num(shares))

    def size(self, axis: int, least: int, most: int) -> tuple[int, int]:
        """Width and height in pixels of an upright slice, with square pixels."""
        height, width = np.delete(self.spacing_mm * self.image.shape, axis)
        if upright_view(self.affine, axis).is_transposed:
            height, width = width, height
        longest = max(height, width)
        pixels = np.clip(longest / np.delete(self.spacing_mm, axis).min(), least, most)
        return max(1, round(width * pixels / longest)), max(1, round(height * pixels / longest))


@dataclass(frozen=True)
class _Tile:
    """A picture, and the lines below it."""

    picture: Image.Image
    lines: tuple[str, ...]


def draw_asked(campaign: Campaign, case_id: str, output: Path) -> None:
    """Draw all slices of a case that are asked for, without labels.

    Below each stands its number, counted from 0 and from 1. Beside one that a network has asked for
    stands why: how uncertain it is, and what it predicts.

    Parameters
    ----------
    campaign
        The campaign.
    case_id
        Case with a slice that is asked for.
    output
        PNG file to be written.
    """
    volume = _read(campaign, case_id)
    view = upright_view(volume.affine, campaign.axis)
    size = volume.size(campaign.axis, _MIN_SIDE, _MAX_SIDE)
    why = reasons(campaign, case_id)
    tiles = []
    for i in campaign.asked(case_id):
        pixels = _bytes(view.turned(volume.gray(campaign.axis, i)))
        picture = Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
        tiles.append(_Tile(picture, (f"slice {i}", f"from 1: {i + 1}")))
        if i in why:
            tiles.append(_why(i, picture, view, *why[i]))
    title = (case_id, f"{view.plane} slices: {_SIDES[view.plane]}", _COUNTING)
    _save(_sheet(tiles, title), output)


def draw_prefilled(
    campaign: Campaign, case_id: str, output: Path, label: np.ndarray | None = None
) -> None:
    """Draw image and label of a case as they look in an annotation tool.

    From left to right: a slice that is asked for, one beside it that is not, and a view across the
    slices. What the label ignores lies under a grey veil.

    Parameters
    ----------
    campaign
        The campaign.
    case_id
        Case with a slice that is asked for.
    output
        PNG file to be written.
    label
        (z, y, x) on the voxels of the image; None for the prefilled one.
    """
    volume = _read(campaign, case_id)
    label = prefilled_label(campaign, case_id) if label is None else label
    ignore, axis = campaign.ignore_label, campaign.axis
    asked = _shown(np.moveaxis(label, axis, 0), campaign.asked(case_id), ignore)
    tiles = [
        _Tile(
            _overlaid(volume, label, axis, asked, ignore),
            (f"slice {asked}: asked for", "no veil, paint on it"),
        )
    ]
    if (beside := _beside(asked, campaign.asked(case_id), label.shape[axis])) is not None:
        tiles.append(
            _Tile(
                _overlaid(volume, label, axis, beside, ignore),
                (f"slice {beside}: not asked for", "grey veil, leave it as it is"),
            )
        )
    across, cut = _across(volume, label, axis, asked, ignore)
    tiles.append(
        _Tile(
            _overlaid(volume, label, across, cut, ignore),
            ("from the side", "clear lines: slices asked for"),
        )
    )
    _save(_sheet(tiles, ()), output)


def _why(
    i: int, picture: Image.Image, view: UprightView, predicted: PredictedSlices, place: int
) -> _Tile:
    """Why slice ``i`` was chosen, which is in some place of what was predicted."""
    uncertainty, label = predicted.uncertainty[place], predicted.label[place]
    drawn = uncertainty_picture(picture, view.turned(uncertainty), view.turned(label))
    rank = f"rank {predicted.rank[place]} of {predicted.num_ranked}"
    said = f"entropy {predicted.entropy[place]:.3g}, {rank}"
    return _Tile(drawn, (f"why slice {i}", said))


def _read(campaign: Campaign, case_id: str) -> _Volume:
    file = campaign.image_files(case_id)[0]
    reader = campaign.images.reader()
    image, spacing = read_image((file,), reader)
    channel = str(next(iter(campaign.images.channel_names.values())))
    affine = read_geometry(file, reader).affine
    return _Volume(image[0], spacing, affine, window_of(image[0], channel))


def _shown(label: np.ndarray, asked: Sequence[int], ignore: int) -> int:
    """Asked slice with most foreground; without any, the one in the middle."""
    foreground = [int(((label[i] > 0) & (label[i] != ignore)).sum()) for i in asked]
    return asked[int(np.argmax(foreground)) if any(foreground) else len(asked) // 2]


def _beside(index: int, asked: Sequence[int], num_slices: int) -> int | None:
    """Closest slice that is not asked for."""
    others = set(range(num_slices)) - set(asked)
    return min(others, key=lambda i: (abs(i - index), i), default=None)


def _across(
    volume: _Volume, label: np.ndarray, axis: int, asked: int, ignore: int
) -> tuple[int, int]:
    """Array axis and index of the side view: through most foreground, or the middle."""
    wanted = _ACROSS[upright_view(volume.affine, axis).plane]
    others = [a for a in range(3) if a != axis]
    planes = [upright_view(volume.affine, a).plane for a in others]
    across = others[planes.index(wanted) if wanted in planes else 0]
    labelled = np.take(label, asked, axis)
    foreground = (labelled > 0) & (labelled != ignore)
    counts = foreground.sum(axis=1 - others.index(across))
    return across, int(np.argmax(counts)) if counts.any() else label.shape[across] // 2


def _overlaid(
    volume: _Volume, label: np.ndarray, axis: int, index: int, ignore: int
) -> Image.Image:
    """Slice with its label over it, as large as a panel."""
    view = upright_view(volume.affine, axis)
    size = volume.size(axis, _PANEL_SIDE, _PANEL_SIDE)
    gray = _bytes(view.turned(volume.gray(axis, index)))
    picture = Image.fromarray(gray).resize(size, Image.Resampling.BICUBIC).convert("RGB")
    values = view.turned(np.take(label, index, axis))
    veil = Image.fromarray(_colored(values, ignore)).resize(size, Image.Resampling.NEAREST)
    picture.paste(veil, mask=veil)
    return picture


def _colored(label: np.ndarray, ignore: int) -> np.ndarray:
    """(row, column, 4) colours of a label; background is clear."""
    found = np.zeros((*label.shape, 4), np.uint8)
    for value in np.unique(label[label > 0]):
        is_ignored = value == ignore
        color = ImageColor.getrgb(IGNORE_COLOR if is_ignored else label_color(int(value)))
        opacity = _VEIL_OPACITY if is_ignored else _LABEL_OPACITY
        found[label == value] = (*color, round(255 * opacity))
    return found


def _bytes(gray: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray((255 * gray).round().astype(np.uint8))


def _sheet(tiles: Sequence[_Tile], title: Sequence[str]) -> Image.Image:
    """Tiles in rows, with a title above them."""
    widths = _column_widths(tiles)
    tallest = max(tile.picture.height for tile in tiles)
    row = tallest + len(tiles[0].lines) * _LINE_PIXELS + 2 * _GAP
    top = _MARGIN + (len(title) * _LINE_PIXELS + _GAP if title else 0)
    width = max(sum(widths) + _GAP * (len(widths) - 1), *map(_text_width, title), 0) + 2 * _MARGIN
    height = top + row * math.ceil(len(tiles) / len(widths)) + _MARGIN - _GAP
    mode = max(tile.picture.mode for tile in tiles)  # of L and RGB the latter
    sheet = Image.new(mode, (width, height), ImageColor.getcolor(_BACK, mode))
    draw = ImageDraw.Draw(sheet)
    _write(draw, title, _MARGIN, _MARGIN, "la")
    for number, tile in enumerate(tiles):
        column = number % len(widths)
        middle = _MARGIN + sum(widths[:column]) + _GAP * column + widths[column] // 2
        bottom = top + row * (number // len(widths)) + tallest
        picture = tile.picture
        sheet.paste(picture, (middle - picture.width // 2, bottom - picture.height))
        _write(draw, tile.lines, middle, bottom + _GAP // 2, "ma")
    return sheet


def _column_widths(tiles: Sequence[_Tile]) -> list[int]:
    """As wide as pictures and texts; no more columns than a page has room for."""
    widths = [max(tile.picture.width, *map(_text_width, tile.lines)) for tile in tiles]
    room = _SHEET_WIDTH // (max(widths) + _GAP)
    columns = min(len(tiles), _MAX_COLUMNS, max(1, room))
    return [max(widths[column::columns]) for column in range(columns)]


def _write(draw: ImageDraw.ImageDraw, lines: Sequence[str], x: int, y: int, anchor: str) -> None:
    """Write lines below each other; the first one stands out."""
    for number, line in enumerate(lines):
        font = _font(is_bold=number == 0)
        place = (x, y + number * _LINE_PIXELS)
        draw.text(place, line, _MUTED if number else _TEXT, font, anchor)


def _text_width(line: str) -> int:
    return round(_font(is_bold=True).getlength(line))


def _font(is_bold: bool) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if is_bold else "DejaVuSans.ttf"
    # Matplotlib brings its own, so pictures are the same everywhere
    file = Path(mpl.get_data_path()) / "fonts" / "ttf" / name
    return ImageFont.truetype(file, _TEXT_PIXELS, layout_engine=ImageFont.Layout.BASIC)


def _save(picture: Image.Image, output: Path) -> None:
    with atomic_path(output) as temporary:
        picture.save(temporary, "PNG")  # to optimise it takes five times as long, for 4 % of it
