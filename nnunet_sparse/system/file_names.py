"""Names from files of others that become names of files here: one component of a path each."""

import unicodedata

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.wording import brief

_MAX_BYTES = 200  # 255 with what is put before and after it
_CONTROL = {"Cc", "Cs", "Zl", "Zp"}  # line ends, halves of characters, what terminals obey


def check_file_name(name: object, what: str) -> str:
    r"""Refuse what leaves the folder that a file of this name is put into, or cannot be written.

    Parameters
    ----------
    name
        As it stands in a file or was given to a command.
    what
        What it is the name of and where it stands, as messages begin.

    Raises
    ------
    SparseError
        If it is no text, empty, ``.`` or ``..``, holds ``/``, ``\``, a control character or
        something that is no UTF-8, or has more than 200 bytes.
    """
    if not isinstance(name, str) or not name or name in {".", ".."} or {"/", "\\"} & set(name):
        raise SparseError(f"{what} must be a name without / and \\, got {brief(name)}")
    if any(unicodedata.category(letter) in _CONTROL for letter in name):
        raise SparseError(f"{what} holds characters that no name can have: {brief(name)}")
    if len(name.encode()) > _MAX_BYTES:
        raise SparseError(f"{what} is longer than {_MAX_BYTES} bytes: {brief(name)}")
    return name


def is_file_name(name: object) -> bool:
    """Whether :func:`check_file_name` takes it."""
    try:
        check_file_name(name, "it")
    except SparseError:
        return False
    return True


def check_ending(ending: str, what: str) -> None:
    """Refuse what is put behind a name and is no ending of a file.

    Raises
    ------
    SparseError
        If it does not begin with a point, or could not be part of a name.
    """
    if not ending.startswith("."):
        raise SparseError(f"{what} must begin with a point (.nii.gz), got {brief(ending)}")
    check_file_name(f"x{ending}", what)


def is_text(name: str) -> bool:
    """Whether a name of a file is UTF-8; ITK ends the process where it is not."""
    return not any(unicodedata.category(letter) == "Cs" for letter in name)
