from dataclasses import replace
from typing import Any

import pytest

from nnunet_sparse.features.mae_options import add_mae_options
from nnunet_sparse.selection.selection_options import (
    add_budget_options,
    add_selector_options,
    add_volume_fraction_option,
    variant_of,
)
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.command import CommandParser
from nnunet_sparse.system.options import add_seed_option

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


BEFORE = Variant(
    rho=0.5,
    s=0.25,
    selector="ual",
    parameters={"clusters": 5},
    scope="dataset",
    min_per_volume=2,
    seed=7,
    mae="small",
    mae_seed=3,
)


def variant(words: str, before: Variant | None = None) -> Variant:
    choice = parser(None if before is None else "as before")
    add_seed_option(choice, "slices", unset=None if before is None else "as before")
    add_mae_options(choice)
    return variant_of(choice.parse_args(words.split()), before)


def test_variant_of_options() -> None:
    words = "--budget 9 --s 0.5 --selector ual --set clusters=3 --seed 2 --mae_seed 1"
    expected = Variant(
        budget=9, s=0.5, selector="ual", parameters={"clusters": 3}, seed=2, mae_seed=1
    )
    assert variant(words) == expected
    assert variant("--slices_per_volume 2") == Variant(slices_per_volume=2, selector="random")


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        ("", {}),
        ("--s 1 --seed 0", {"s": 1.0, "seed": 0}),
        ("--set clusters=4", {"parameters": {"clusters": 4}}),
        ("--mae_seed 1", {"mae": "tiny", "mae_seed": 1}),
        ("--min_per_volume 1", {"min_per_volume": 1}),
        ("--scope volume", {"scope": "volume", "min_per_volume": 0}),
        ("--selector random", {"selector": "random", "parameters": {}}),
    ],
)
def test_what_is_not_given_is_as_before(words: str, changed: dict[str, Any]) -> None:
    expected = replace(BEFORE, rho=None, budget=4, **changed)
    assert variant(f"--budget 4 {words}", BEFORE) == expected
