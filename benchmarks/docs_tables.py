r"""Put the tables of committed results into the documents that quote them.

    python benchmarks/docs_tables.py            # writes them anew
    python benchmarks/docs_tables.py --check    # says which differ, and ends with status 2

A document holds a table between two comments, the first of which is the command that prints it:

    <!-- nnsparse_report benchmarks/experiments/left_atrium.csv --rows "fewer slices" -->
    <!-- end of table -->

The results are written by ``nnsparse_report benchmarks/experiments/left_atrium.yaml --export
benchmarks/experiments/left_atrium.csv`` when the experiment is done.
"""

import argparse
import io
import re
import shlex
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from nnunet_sparse.report.grid.report_command import main as report
from nnunet_sparse.system.atomic import write_text
from nnunet_sparse.system.command import CommandParser, run_command
from nnunet_sparse.system.errors import SparseError

ROOT = Path(__file__).resolve().parents[1]
_COMMAND = "nnsparse_report"
_END = "<!-- end of table -->"
_TABLE = re.compile(rf"<!-- {_COMMAND} (.*?) -->\n(.*?){_END}", re.DOTALL)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse the arguments, and write or check the documents."""
    parser = CommandParser("docs_tables.py", "Tables of results in documents.", "docs_tables.py")
    parser.add_argument("--check", action="store_true", help="change nothing")
    return run_command(parser, _run, argv)


def _run(args: argparse.Namespace) -> None:
    for page in pages(ROOT):
        text = page.read_text(encoding="utf-8")
        new = with_tables(text, ROOT)
        if new != text and args.check:
            raise SparseError(f"{page}: its tables are not those of the results it names")
        if new != text:
            write_text(page, new)
            print(page)


def pages(root: Path) -> list[Path]:
    """Documents that may hold tables."""
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def quoted_results(text: str, root: Path) -> set[Path]:
    """Files of results that a document names in the commands of its tables."""
    commands = [shlex.split(arguments) for arguments, _ in _TABLE.findall(text)]
    return {root / word for words in commands for word in words if word.endswith(".csv")}


def with_tables(text: str, root: Path) -> str:
    """The document with its tables as the results have them now.

    Parameters
    ----------
    text
        The document.
    root
        Folder to which its files are relative.

    Raises
    ------
    SparseError
        If a command fails.
    """
    return _TABLE.sub(lambda found: _table(found[1], root), text)


def _table(arguments: str, root: Path) -> str:
    words = [str(root / word) if word.endswith(".csv") else word for word in shlex.split(arguments)]
    printed = io.StringIO()
    with redirect_stdout(printed):
        status = report(words)
    if status:
        raise SparseError(f"{_COMMAND} {arguments} failed with status {status}")
    return f"<!-- {_COMMAND} {arguments} -->\n\n{printed.getvalue()}\n{_END}"


if __name__ == "__main__":
    sys.exit(main())
