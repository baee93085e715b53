import argparse
from collections.abc import Callable

import pytest

from nnunet_sparse.system.command import CommandParser, run_command
from nnunet_sparse.system.options import (
    OptionHolder,
    add_num_processes_option,
    add_seed_option,
    given_options,
)


def parser_with(*add: Callable[[OptionHolder], None]) -> CommandParser:
    parser = CommandParser("nnsparse_x", "Does x.", "nnsparse_x")
    for add_option in add:
        add_option(parser)
    return parser


def test_number_of_processes() -> None:
    assert parser_with(add_num_processes_option).parse_args(["-np", "3"]).num_processes == 3


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_bad_number_of_processes(capsys: pytest.CaptureFixture[str], value: str) -> None:
    with pytest.raises(SystemExit) as caught:
        run_command(parser_with(add_num_processes_option), lambda _: None, [f"-np={value}"])
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("error: argument -np/--num_processes: must be a whole number")
    assert err.count("\n") == 1


def test_a_seed_that_the_command_finds() -> None:
    def add(parser: OptionHolder) -> None:
        add_seed_option(parser, "slices")
        add_seed_option(parser, "the split", "--split_seed", unset="that of the file")

    parser = parser_with(add)
    assert vars(parser.parse_args([])) == {"seed": 0, "split_seed": None}
    assert vars(parser.parse_args(["--split_seed", "3"])) == {"seed": 0, "split_seed": 3}
    assert "seed of slices (default: 0)" in parser.format_help()
    assert "seed of the split (default: that of the file)" in parser.format_help()


def test_options_that_are_given() -> None:
    args = argparse.Namespace(preset=None, seed=0, change=["radius=2"], verify=True)
    assert given_options(args, ("verify", "preset", "seed", "change")) == ["verify", "change"]
