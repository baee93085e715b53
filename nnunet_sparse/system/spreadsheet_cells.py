"""What spreadsheets make of cells: numbers, truth values, and names that they have changed.

A spreadsheet takes texts for numbers, dates and truth values where they look like some, and saves
what it shows: ``7`` for ``007``, ``1.1`` for ``1.10``, ``1,20E+05`` for ``12E4``, ``WAHR`` for
``TRUE``. Programs that know missing values write ``NA`` into empty cells, and ``1.0`` for 1 beside
them.
"""

import math
import re
from collections.abc import Collection, Hashable, Iterable
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal

_MISSING = frozenset({"", "-", "na", "n/a", "#n/a", "#nv", "nan", "<na>", "none", "null"})
_TRUE = frozenset(
    [
        "true",
        "wahr",
        "vrai",
        "verdadero",
        "vero",
        "verdadeiro",
        "waar",
        "prawda",
        "sant",
        "tosi",
    ]
)
_FALSE = frozenset(["false", "falsch", "faux", "falso", "onwaar", "fałsz", "falskt", "epätosi"])
_YES = frozenset({"yes", "y", "x", "1", "ja", "oui", "si", "sí"}) | _TRUE
_NO = frozenset({"no", "n", "0", "nein", "non"}) | _FALSE
# Python refuses to read some thousand digits
_WHOLE = re.compile(r"([+-]?\d{1,100})(?:[.,](?!000$)0*)?")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d{1,3})?")
# 1.5 thousand or one and a half, where commas also separate columns
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
# zeros that no spreadsheet shows; pandas writes one behind the point of whole numbers
_AS_WRITTEN = re.compile(r"\+|-?0\d|-?\d*[.,]\d*[1-9]0+$|-?\d*[.,]00+$")
_FORMULAS = ("=", "+", "-", "@")
# a number with its deviation or unit, an interval, or a dash for what is missing
_SIGNED = re.compile(
    r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?( ± [\d.]+)?[ %]*|-+|[+-]\d+\.\d+ to [+-]\d+\.\d+"
)
_EXCEL_DIGITS = 15


def is_missing(text: str) -> bool:
    """Whether a cell is empty, or says that it is."""
    return text.strip().casefold() in _MISSING


def truth_value(text: str) -> bool | None:
    """Read yes or no in one of several languages; missing is no, anything else None."""
    word = text.strip().casefold()
    if (number := whole_number(word)) is not None:
        word = str(number)
    return True if word in _YES else False if word in _NO | _MISSING else None


def whole_number(text: str) -> int | None:
    """Read an integer, also one with decimals that are 0; None if it is none."""
    found = _WHOLE.fullmatch(text.strip())
    return int(found[1]) if found else None


def decimal_number(text: str, delimiter: str = ";") -> float | None:
    """Read a number with a decimal point or comma.

    Parameters
    ----------
    text
        Of the cell.
    delimiter
        What separates columns. Where it is a comma, ``1,500`` may mean 1500 and is not understood.

    Returns
    -------
    float or None
        None if it is no number, or not finite.
    """
    text = text.strip()
    if not _NUMBER.fullmatch(text) or (delimiter == "," and _THOUSANDS.fullmatch(text)):
        return None
    value = float(text.replace(",", "."))
    return value if math.isfinite(value) else None


def may_be(name: str, text: str) -> bool:
    """Whether a spreadsheet may have made a text of a name, or the text is the name.

    Names that have become dates are not recognised.
    """
    one, other = name.strip().casefold(), text.strip().casefold()
    if one == other or any(one in words and other in words for words in (_TRUE, _FALSE)):
        return True
    if not (_NUMBER.fullmatch(one) and _NUMBER.fullmatch(other)):
        return False
    exact, shown = (Decimal(number.replace(",", ".")) for number in (one, other))
    return exact == shown or any(_shortened(exact, n, how) == shown for n, how in _lengths(other))


class ChangedNames:
    """Names, and which of them a spreadsheet may have made a text of.

    Parameters
    ----------
    names
        The names.
    written
        Texts of the table.
    """

    def __init__(self, names: Iterable[str], written: Collection[str] = ()) -> None:
        self._names = dict.fromkeys(names)
        self._written = {text for text in written if text in self._names}
        self._alike: dict[Hashable, list[str]] = {}
        for name in self._names:
            self._alike.setdefault(_key(name), []).append(name)

    def meant(self, text: str) -> list[str]:
        """Names that a text may stand for, itself first if it is one.

        A name that no spreadsheet shows, as ``007``, stands for itself, and so does any other
        beside which the table has all those that are shown like it.
        """
        if text not in self._names:
            return self.alike(text)
        if not _may_be_changed(text):
            return [text]
        return [text, *(n for n in self.alike(text) if n != text and n not in self._written)]

    def alike(self, text: str) -> list[str]:
        """Names that a spreadsheet may have made a text of, or that are the text; sorted as given.

        See :func:`may_be`.
        """
        if _lengths(text.strip().casefold()):
            return [name for name in self._names if may_be(name, text)]
        return list(self._alike.get(_key(text), ()))


def _may_be_changed(text: str) -> bool:
    """Whether a text is what a spreadsheet makes of others: a number it shows, a truth value."""
    word = text.strip().casefold()
    if word in _TRUE | _FALSE:
        return True
    return bool(_NUMBER.fullmatch(word)) and not _AS_WRITTEN.match(word)


def _key(text: str) -> Hashable:
    """What texts share of which one may be the other, but for rounded numbers."""
    word = text.strip().casefold()
    for words in (_TRUE, _FALSE):
        if word in words:
            return words
    return Decimal(word.replace(",", ".")) if _NUMBER.fullmatch(word) else word


def safe_cell(value: object) -> object:
    """What is written into a cell: a text that a spreadsheet would compute gets an apostrophe.

    Numbers with a sign stay.
    """
    if not isinstance(value, str) or not value.lstrip().startswith(_FORMULAS):
        return value
    return value if _SIGNED.fullmatch(value.strip()) else f"'{value}"


def plain_cell(text: str) -> str:
    """The inverse of :func:`safe_cell` for texts."""
    inner = text.removeprefix("'")
    return inner if inner != text and safe_cell(inner) == text else text


def _lengths(text: str) -> list[tuple[int, str]]:
    """Digits that may be left of a number that is shown like a text, and how it was rounded."""
    mantissa, exponent, _ = text.partition("e")
    digits = sum(map(str.isdigit, mantissa))
    if exponent:
        return [(digits, ROUND_HALF_UP), (digits, ROUND_HALF_EVEN)]
    if digits > _EXCEL_DIGITS:
        return [
            (_EXCEL_DIGITS, ROUND_DOWN),
            *((n, ROUND_HALF_UP) for n in range(_EXCEL_DIGITS, 18)),  # 17 hold any float
        ]
    return []


def _shortened(number: Decimal, digits: int, rounding: str) -> Decimal:
    return Context(prec=digits, rounding=rounding).plus(number)
