"""2D pictures as nnU-Net reads them: as many channels as a pixel has values when it is shown."""

from pathlib import Path

from nnunet_sparse.system.errors import SparseError

_GREY = frozenset({"1", "L", "F", "I", "I;16", "I;16B", "I;16L"})
_COLOURS = {"P": "colours of a palette", "PA": "colours of a palette"}


def check_grey(file: Path) -> None:
    """Refuse a label with several values per pixel, as colours of a palette are read as well.

    Raises
    ------
    SparseError
        With what the picture holds.
    """
    mode = _mode(file)
    if mode not in _GREY and mode:
        raise SparseError(
            f"{file} holds {_COLOURS.get(mode, mode)}: several values per pixel, a label has one; "
            "save it in grey, its values being the labels"
        )


def check_readable(file: Path) -> None:
    """Refuse grey values with transparency, which nnU-Net does not read.

    Raises
    ------
    SparseError
        With what the picture holds.
    """
    mode = _mode(file)
    if mode in {"LA", "La"}:
        raise SparseError(
            f"{file} holds grey values and transparency ({mode}); nnU-Net reads grey, RGB and "
            "RGBA: save it without transparency"
        )


def _mode(file: Path) -> str:
    """What Pillow calls the values of a pixel; empty if it does not know the file."""
    from PIL import Image

    try:
        with Image.open(file) as picture:
            return str(picture.mode)
    except (OSError, SyntaxError, ValueError):  # is told where it is read
        return ""
