import pytest

from nnunet_sparse.selection.added_round import AddedRound
from nnunet_sparse.selection.round_path import RoundPath
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.selection.variant import Variant

FIRST = Variant(0.05, selector="stratified")


def path(number: int, teacher: str = "") -> Variant:
    way = RoundPath(FIRST, 0.05, number, teacher)
    return Variant(way.density(), selector="random", rounds=way)


@pytest.mark.parametrize(("teacher", "shown"), [("", ""), ("2d_x3_0a1b2c", "_2d_x3")])
def test_a_variant_is_called_like_the_data_set_that_is_made_of_it(teacher: str, shown: str) -> None:
    variant = path(3, teacher)
    added = variant.addition
    # another network of the same name gives no other name
    networks = [{"digest": digest} if teacher else None for digest in ("a", "b")]
    rounds = [AddedRound("any", added, {}, network=n, teacher=teacher) for n in networks]
    selection = Selection("Dataset004_Tiny", FIRST, 0, {}, rounds=tuple(rounds))
    name = variant.dataset_suffix("Tiny")
    assert selection.dataset_suffix("Tiny") == name
    first = "Tiny_rho0.050_s1.000_stratified_seed0"
    assert name.rpartition("_")[0] == f"{first}_r3_rho0.050_random{shown}"
    assert [AddedRound.from_json(each.to_json()) for each in rounds] == rounds


def test_steps_back() -> None:
    third = path(3, "2d_x1_0a1b2c")
    assert third.rho == 0.15  # as written, not 0.15000000000000002
    assert third.before == path(2, "2d_x1_0a1b2c")
    assert third.before.before == FIRST
    assert third.addition == Variant(0.05, selector="random")
    assert third.value("rounds") == "3 (stratified 0.05 + 0.05)"
    assert Variant.from_json(third.to_json()) == third
    # no rounds leave the JSON as it was
    assert "rounds" not in FIRST.to_json()


def test_seeds_are_told_apart_only_by_the_seed() -> None:
    one, other = (
        Variant(0.1, selector="random", seed=k, rounds=RoundPath(Variant(0.05, seed=k), 0.05, 2))
        for k in (0, 1)
    )
    assert one != other
    assert one.same_but("seed") == other.same_but("seed")
