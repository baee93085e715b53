"""What a command says of a data set that it has made."""

from pathlib import Path

from nnunet_sparse.system.command import titled
from nnunet_sparse.system.wording import command_line


def made_line(folder: Path, created: bool) -> str:
    """Where the data set is, and whether this call made it."""
    return titled("made" if created else "exists", folder)


def next_line(folder: Path) -> str:
    """The command that comes next."""
    return titled("next", command_line("nnsparse_plan_and_preprocess", "-d", folder.name))
