import pytest

from nnunet_sparse.interpolation.interpolation_options import (
    add_interpolation_options,
    interpolation_of,
    parse_changes,
)
from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.system.command import CommandParser
from nnunet_sparse.system.errors import SparseError


def interpolation(method: str, *argv: str) -> Interpolation:
    parser = CommandParser("nnsparse_x", "Does x.", "nnsparse_x")
    add_interpolation_options(parser)
    return interpolation_of(method, parser.parse_args(argv))


def test_what_the_options_ask_for() -> None:
    assert interpolation("shape") == Interpolation("shape")
    argv = ("--verify", "--interpolator_seed", "3", "--change", "radius=2")
    asked = Interpolation(verify=True, network_seed=3, changes=(("radius", 2),))
    assert interpolation("correspondence", *argv) == asked


def test_options_of_the_network_need_one() -> None:
    message = r"^--preset works with correspondence, not with nearest$"
    with pytest.raises(SparseError, match=message):
        interpolation("nearest", "--preset", "full")
    with pytest.raises(SparseError, match=message):
        interpolation("nearest", "--preset", "tiny")


def test_the_published_method() -> None:
    asked = interpolation("published", "--change", "num_steps=150")
    assert asked == Interpolation("published", changes=(("num_steps", 150),))
    message = "^--preset works with correspondence, not with published$"
    with pytest.raises(SparseError, match=message):
        interpolation("published", "--preset", "full")
    with pytest.raises(SparseError, match="one_way works with correspondence, not with published"):
        interpolation("published", "--one_way")


def test_changes() -> None:
    changes = parse_changes(["spread=2", "radius=3"])
    assert changes == (("radius", 3), ("spread", 2.0))
    assert [type(value) for _, value in changes] == [int, float]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["radius"], "--change takes key=value with a key of num_slices, .*, got 'radius'"),
        (["steps=3"], "--change takes key=value with a key of num_slices, .*, got 'steps'"),
        (["radius=2.5"], "radius is a whole number, got '2.5'"),
        (["spread=far"], "spread is a number, got 'far'"),
        (["radius=2", "radius=3"], "radius is given twice"),
    ],
)
def test_bad_changes(texts: list[str], message: str) -> None:
    with pytest.raises(SparseError, match=f"^{message}$"):
        parse_changes(texts)
