"""Elements of DICOM headers, as they are stored: text that may be no number, and what it rounds."""

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_sparse.system.errors import SparseError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def texts_of(data: "Dataset", name: str) -> list[str]:
    """Values of an element as they are stored, without judging them; empty if there are none.

    pydicom refuses numbers that are none as soon as they are looked at, and forgets their digits.
    """
    from pydicom.dataelem import RawDataElement

    element: Any = data.get_item(name)
    value = None if element is None else element.value
    if isinstance(element, RawDataElement) and isinstance(value, bytes):
        text = value.decode("ascii", errors="replace")
        return [part.strip(" \0") for part in text.split("\\")] if text.strip(" \0") else []
    if value is None or value == "":
        return []
    values = [value] if isinstance(value, str) or not isinstance(value, Iterable) else value
    return [str(getattr(v, "original_string", v)).strip() for v in values]


def text_of(data: "Dataset", name: str) -> str:
    """Value of an element with one text, stripped; empty if there is none."""
    value = data.get(name)
    return "" if value is None else str(value).strip(" \0")


def whole_of(data: "Dataset", name: str, default: int) -> int:
    """Value of an element with one whole number, or the default."""
    value = data.get(name)
    return default if value in (None, "") else int(value)


def numbers_of(file: Path, texts: list[str], name: str, count: int) -> tuple[float, ...]:
    """Numbers of an element with a number of values; empty if there is none.

    Raises
    ------
    SparseError
        If there are more or fewer, or one is no finite number.
    """
    if not texts:
        return ()
    try:
        values = tuple(float(text) for text in texts)
    except ValueError:
        values = ()
    if len(values) != count or not all(abs(value) < float("inf") for value in values):
        from pydicom.tag import Tag

        tag = Tag(name)
        raise SparseError(f"{file} has no valid DICOM tag ({tag.group:04x},{tag.element:04x})")
    return values


def digits_of(texts: list[str]) -> int:
    """Digits after the point of the number that has most of them."""
    exponents = [0]
    for text in texts:
        try:
            exponents.append(int(Decimal(text).as_tuple().exponent))
        except (InvalidOperation, ValueError):  # no number, or none that is finite
            continue
    return -min(exponents)
