"""What all ``nnsparse_*`` commands share: parsing, messages, exit status.

A command is a module with ``main(argv=None) -> int`` that hands its parser and its work to
:func:`run_command`; one with subcommands adds them to its parser, each with its own work, and hands
over :func:`run_subcommand`. Results go to standard output, messages and progress to standard error.
"""

import argparse
import io
import logging
import re
import select
import sys
import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

from nnunet_sparse.system.errors import SparseError, memory_error_message, os_error_message
from nnunet_sparse.system.file_names import is_text
from nnunet_sparse.system.standard_streams import (
    discard_unwritable_output,
    flush_output,
    open_closed_streams,
)

CommandFunction = Callable[[argparse.Namespace], int | None]
"""What a command does; the exit status, None for 0."""

_handed_over: list[argparse.ArgumentParser] | None = None

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_MOST_LETTERS = 4000

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_NO_READER = 141  # as shells call a program that SIGPIPE has ended


class CommandParser(argparse.ArgumentParser):
    """Argument parser whose errors are one line and whose help keeps the example's layout."""

    def __init__(self, prog: str, description: str, example: str) -> None:
        super().__init__(
            prog=prog,
            description=textwrap.fill(description, 79),
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._subcommands: argparse._SubParsersAction[CommandParser] | None = None

    def add_subcommand(
        self,
        name: str,
        work: CommandFunction,
        description: str,
        example: str,
        summary: str | None = None,
    ) -> "CommandParser":
        """Add a command below this one; one of those that are added must be given.

        Parameters
        ----------
        name
            What is typed.
        work
            What it does.
        description, example
            Of its help.
        summary
            Its line in the help of this command; None for one that is not shown there.
        """
        if self._subcommands is None:
            self._subcommands = self.add_subparsers(
                dest="command", required=True, metavar="COMMAND", parser_class=CommandParser
            )
        add = partial(
            self._subcommands.add_parser,
            name,
            prog=f"{self.prog} {name}",
            description=description,
            example=example,
        )
        command = add() if summary is None else add(help=summary)
        command.set_defaults(work=work)
        return command

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End the program once the help has been written."""
        flush_output()
        super().exit(status, message)

    def error(self, message: str) -> NoReturn:
        """End the program with one line and exit status 2."""
        self.exit(EXIT_ERROR, f"error: {message} (see {self.prog} --help)\n")


def titled(title: str, text: object) -> str:
    """Line of a command's result, with its title in a column of its own."""
    return f"{title + ':':<11} {text}"


def positive_int(text: str) -> int:
    """Argparse type: an integer of at least 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return value


def non_negative_int(text: str) -> int:
    """Argparse type: an integer of at least 0."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 0, got {text!r}")
    return value


def run_subcommand(args: argparse.Namespace) -> int | None:
    """Do the work of the subcommand that was chosen."""
    work: CommandFunction = args.work
    return work(args)


def run_command(
    parser: argparse.ArgumentParser, work: CommandFunction, argv: Sequence[str] | None
) -> int:
    """Parse the arguments, do the work, and turn errors into one line and an exit status.

    Returns
    -------
    int
        The work's own status, 0 if it has none; 2 after an error that the user can solve, 130 after
        Ctrl-C, 141 if nobody reads the output any more (``| head``). Everything else is a bug of
        ours and keeps its traceback.
    """
    if _handed_over is not None:
        _handed_over.append(parser)
        return 0
    open_closed_streams()
    _check_words(parser, sys.argv[1:] if argv is None else argv)
    try:
        args = parser.parse_args(argv)
        if isinstance(sys.stdout, io.TextIOWrapper):  # terminals that know ASCII only get "0.5 ? 0"
            sys.stdout.reconfigure(errors="replace")
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
        logging.getLogger("numexpr").setLevel(logging.WARNING)  # tells how many threads it uses
        status = work(args)
        flush_output()
    except (SparseError, MemoryError, OSError) as error:
        has_reader = not (isinstance(error, BrokenPipeError) and _has_no_reader())
        discard_unwritable_output()
        return _fail(_message(error)) if has_reader else EXIT_NO_READER
    except KeyboardInterrupt:
        print("interrupted; run the same command again to finish its work", file=sys.stderr)
        return EXIT_INTERRUPTED
    return status or 0


def _message(error: SparseError | MemoryError | OSError) -> str:
    if isinstance(error, MemoryError):
        return memory_error_message(error)
    return os_error_message(error) if isinstance(error, OSError) else str(error)


def _check_words(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Refuse words that name nothing, and bytes that are no text, with which ITK ends the process.

    An empty path would be the folder that the user is in.
    """
    for word in words:
        if not word:
            parser.error("an argument is empty")
        if "\0" in word or not is_text(word):
            parser.error(f"the argument {word!r} is no text in UTF-8")


def parser_of(main: Callable[..., int]) -> argparse.ArgumentParser:
    """What a command hands to :func:`run_command`, without its work."""
    global _handed_over  # noqa: PLW0603 - commands make their parsers themselves
    found: list[argparse.ArgumentParser] = []
    _handed_over = found
    try:
        main([])
    finally:
        _handed_over = None
    return found[0]


def _has_no_reader() -> bool:
    """Whether standard output is a pipe whose other end is closed, and no other pipe is broken."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLOUT)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (OSError, ValueError):  # no file
        return False


def _fail(message: str) -> int:
    # spaces in names stay as they are, and terminals do not obey them
    line = re.sub(r"\s*[\n\r]\s*", " ", message.strip())
    if len(line) > _MOST_LETTERS:  # a cell of a table may be as long as its file
        line = f"{line[: _MOST_LETTERS // 2]} ... {line[-_MOST_LETTERS // 2 :]}"
    print("error: " + _CONTROL.sub(lambda found: repr(found[0])[1:-1], line), file=sys.stderr)
    return EXIT_ERROR
