"""Names and colours of a campaign's labels, in files that annotation tools import."""

from collections.abc import Iterator
from dataclasses import dataclass

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.data.label_colors import label_color
from nnunet_sparse.system.atomic import write_text

ITKSNAP_FILE = "labels_itksnap.txt"
SLICER_FILE = "labels_slicer.ctbl"
IGNORE_COLOR = "#808080"
# translucent, so that slices that are not asked for can be looked at
_IGNORE_OPACITY = 0.6
# 3D Slicer reads lines of up to 1023 bytes
_MAX_LETTERS = 200
_ITKSNAP_HEADER = """\
################################################
# ITK-SnAP Label Description File
# File format:
# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL
# Fields:
#    IDX:   Zero-based index
#    -R-:   Red color component (0..255)
#    -G-:   Green color component (0..255)
#    -B-:   Blue color component (0..255)
#    -A-:   Label transparency (0.00 .. 1.00)
#    VIS:   Label visibility (0 or 1)
#    IDX:   Label mesh visibility (0 or 1)
#  LABEL:   Label description
################################################
    0     0    0    0        0  0  0    "Clear Label"
"""


@dataclass(frozen=True)
class LabelDescription:
    """How a label is shown.

    Attributes
    ----------
    value
        Value of its voxels.
    name
        As the user wrote it.
    color
        ``#RRGGBB``.
    opacity
        From 0, invisible, to 1.
    """

    value: int
    name: str
    color: str
    opacity: float = 1.0

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue from 0 to 255."""
        red, green, blue = bytes.fromhex(self.color.removeprefix("#"))
        return red, green, blue


def label_descriptions(campaign: Campaign) -> list[LabelDescription]:
    """Labels that can be painted, ``ignore`` last; without background."""
    labels = [LabelDescription(v, name, label_color(v)) for v, name in campaign.label_names.items()]
    return [
        *labels,
        LabelDescription(campaign.ignore_label, "ignore", IGNORE_COLOR, _IGNORE_OPACITY),
    ]


def itksnap_text(campaign: Campaign) -> str:
    """Label descriptions for ITK-SNAP.

    A name ends at the first quotation mark there; those within a name become apostrophes. The
    ignore label is no surface in 3D, where it would hide all others.
    """
    lines = []
    for label in label_descriptions(campaign):
        red, green, blue = label.rgb
        name = _one_line(label).replace('"', "'")
        is_mesh = int(label.value != campaign.ignore_label)
        lines.append(
            f"{label.value:5d}   {red:3d}  {green:3d}  {blue:3d}  {label.opacity:7g}  1  {is_mesh}"
            f'    "{name}"\n'
        )
    return _ITKSNAP_HEADER + "".join(lines)


def slicer_text(campaign: Campaign) -> str:
    """Colour table for 3D Slicer.

    Spaces in names become underscores, and names differ, because Slicer finds the value of a
    segment by its name when it exports. Slicer cuts apostrophes off; they become typographic ones.
    """
    labels = label_descriptions(campaign)
    names = _distinct(labels)
    lines = [f"# Color table file {SLICER_FILE}\n", f"# {len(labels) + 1} values\n"]
    lines.append("0 background 0 0 0 0\n")
    for label, name in zip(labels, names, strict=True):
        red, green, blue = label.rgb
        lines.append(f"{label.value} {name} {red} {green} {blue} {round(255 * label.opacity)}\n")
    return "".join(lines)


def write_label_descriptions(campaign: Campaign) -> None:
    """Write both files into the campaign's folder."""
    write_text(campaign.folder / ITKSNAP_FILE, itksnap_text(campaign))
    write_text(campaign.folder / SLICER_FILE, slicer_text(campaign))


def _one_line(label: LabelDescription) -> str:
    letters = (letter if letter.isprintable() else " " for letter in label.name)
    return " ".join("".join(letters).split())[:_MAX_LETTERS].strip() or f"label {label.value}"


def _distinct(labels: list[LabelDescription]) -> Iterator[str]:
    used = {"background"}
    for label in labels:
        name = _one_line(label).replace(" ", "_").replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")
        while name in used:
            name += f"_{label.value}"
        used.add(name)
        yield name
