"""The command ``nnsparse``: alone it lists the others, with the name of one it runs it."""

import argparse
import difflib
import sys
from collections.abc import Callable, Sequence
from typing import Any, cast

from nnunet_sparse.front.way_of_work import PREFIX, WAY_OF_WORK, is_ours, overview
from nnunet_sparse.system.command import CommandParser, run_command
from nnunet_sparse.system.process_end import end_if_interrupted

_COMPLETION = "completion"
_DISTRIBUTION = "nnunet-sparse"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status, or that of the command that it runs."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = words[0].removeprefix(PREFIX) if words else ""
    if name == _COMPLETION:
        return _completion_command(words[1:])
    if not name or name.startswith("-"):
        return run_command(_parser(), _show, words)
    known = [command for _, commands in WAY_OF_WORK for command, _ in commands if is_ours(command)]
    if name not in known:
        close = difflib.get_close_matches(name, [*known, _COMPLETION], 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        _parser().error(f"there is no command {words[0]!r}{hint}")
    status = find_command(PREFIX + name)(words[1:])
    return end_if_interrupted(status) if argv is None else status


def find_command(name: str) -> Callable[[Sequence[str]], int]:
    """The function of an installed command, ``nnsparse_...``."""
    from importlib.metadata import distribution

    (entry,) = distribution(_DISTRIBUTION).entry_points.select(group="console_scripts", name=name)
    return cast("Callable[[Sequence[str]], int]", entry.load())


def _parser() -> CommandParser:
    return CommandParser(
        "nnsparse",
        "List the commands along the way of work, or run one: nnsparse COMMAND ... is "
        "nnsparse_COMMAND ...",
        "nnsparse make_dataset -d 4 --rho 0.2",
    )


def _show(_: argparse.Namespace) -> None:
    print(overview())
    print("\nnnsparse COMMAND ... runs one of ours, nnsparse COMMAND --help says how")


def _completion_command(words: Sequence[str]) -> int:
    parser = CommandParser(
        f"nnsparse {_COMPLETION}",
        "Print what makes a shell complete commands, options and values; to be kept in a file "
        "that the shell reads when it starts.",
        "nnsparse completion bash > ~/.nnsparse_completion",
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="which shell")
    return run_command(parser, _print_completion, words)


def _print_completion(args: argparse.Namespace) -> None:
    from nnunet_sparse.front.completion import completion_script

    functions: dict[str, Any] = {
        PREFIX + command: find_command(PREFIX + command)
        for _, commands in WAY_OF_WORK
        for command, _ in commands
        if is_ours(command)
    }
    print(completion_script(args.shell, functions))


if __name__ == "__main__":
    sys.exit(main())
