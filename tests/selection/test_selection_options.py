from typing import Any

import pytest

from nnunet_sparse.selection.selection_options import (
    add_budget_options,
    add_selector_options,
    add_volume_fraction_option,
)
from nnunet_sparse.system.command import CommandParser

CHOICES = {"rho": None, "slices_per_volume": None, "budget": None, "parameters": []}


def parser(unset: str | None = None) -> CommandParser:
    result = CommandParser("nnsparse_x", "Does x.", "nnsparse_x")
    add_budget_options(result, more=unset is not None)
    add_volume_fraction_option(result, unset=unset)
    add_selector_options(result, "random", ["fixed", "random"], unset)
    return result


@pytest.mark.parametrize(
    ("unset", "expected"),
    [
        (None, {"s": 1.0, "selector": "random", "scope": "volume", "min_per_volume": 0}),
        ("as before", {"s": None, "selector": None, "scope": None, "min_per_volume": None}),
    ],
)
def test_defaults_that_the_command_finds(unset: str | None, expected: dict[str, Any]) -> None:
    args = vars(parser(unset).parse_args(["--budget", "5"]))
    assert args == {**CHOICES, "budget": 5, **expected}
    words = " ".join(parser(unset).format_help().split())
    assert words.count("(default: as before)") == (4 if unset else 0)
    assert f"number of {'more ' if unset else ''}slices in all" in words


@pytest.mark.parametrize("argv", [[], ["--rho", "0.5", "--budget", "5"], ["--budget", "0"]])
def test_one_budget_is_given(argv: list[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(argv)
