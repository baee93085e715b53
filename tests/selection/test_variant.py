import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.interpolation.request import Interpolation
from nnunet_sparse.selection.variant import FACTORS, Variant, table_factors
from nnunet_sparse.system.errors import SparseError

shares = st.floats(0.01, 1)
numbers = st.integers(1, 999)
interpolations = st.one_of(
    st.builds(
        Interpolation,
        one_way=st.booleans(),
        min_confidence=st.sampled_from([0.0, 0.25, 0.9]),
        preset=st.sampled_from(["tiny", "full"]),
        changes=st.sampled_from([(), (("radius", 8),), (("spread", 0.5), ("radius", 3))]),
    ),
    st.builds(Interpolation, st.sampled_from(["shape", "nearest"])),
)


@st.composite
def variants(draw: st.DrawFn) -> Variant:
    """Any variant that there may be."""
    amount = draw(st.sampled_from(["rho", "slices_per_volume", "budget"]))
    selector = draw(st.sampled_from(["fixed", "random", "ual", "coreset"]))
    scope = draw(st.sampled_from(["volume", "dataset"]))
    weight = draw(st.sampled_from([1.0, 0.25, 3.0]))
    clusters = draw(st.sampled_from([{}, {"clusters": 7}])) if selector == "ual" else {}
    return Variant(
        **{amount: draw(shares if amount == "rho" else numbers)},
        s=draw(shares),
        selector=selector,
        parameters=clusters,
        positive_weight=weight,
        scope=scope,
        min_per_volume=draw(st.integers(0, 3)) if scope == "dataset" else 0,
        mae=draw(st.sampled_from(["tiny", "small"])),
        mae_seed=draw(st.integers(0, 3)),
        axis=draw(st.sampled_from([None, 0, 1, 2])),
        interpolation=draw(st.none() | interpolations),
        seed=draw(st.integers(0, 9)),
    )


@given(variants())
def test_json_and_back(variant: Variant) -> None:
    again = Variant.from_json(json.loads(json.dumps(variant.to_json())))
    assert again == variant
    assert hash(again) == hash(variant)
    assert again.dataset_suffix("A") == variant.dataset_suffix("A")


@given(variants(), variants())
def test_names_hashes_and_columns_tell_variants_apart(one: Variant, other: Variant) -> None:
    assert (one == other) == (one.dataset_suffix("A") == other.dataset_suffix("A"))
    assert (one == other) == (one.same_but() == other.same_but())
    columns = table_factors([one, other])
    values = [[variant.value(name) for name in columns] for variant in (one, other)]
    assert (one == other) == (values[0] == values[1])


def test_every_field_is_a_factor() -> None:
    assert sorted(FACTORS) == sorted(Variant.__dataclass_fields__)


def test_columns_are_those_of_the_first_tables_and_what_is_changed() -> None:
    first = ("rho", "s", "selector", "scope", "positive_weight", "interpolation", "seed")
    assert table_factors([]) == first
    # a preset of features that are not used is none
    assert table_factors([Variant(0.2), Variant(0.2, selector="random", mae="small")]) == first
    more = table_factors([Variant(budget=3), Variant(0.1, selector="ual", mae="small")])
    assert more == ("rho", "budget", "s", "selector", "mae", *first[3:])


def test_texts() -> None:
    ual = Variant(0.2, 1 / 3, "ual", mae="small", parameters={"clusters": 5})
    texts = [ual.text(name) for name in ("rho", "s", "budget", "parameters", "mae", "mae_seed")]
    assert texts == ["0.200", repr(1 / 3), "", "clusters=5", "small", "0"]
    assert Variant(0.2).text("mae") == ""
    assert ual.description == "ual clusters=5 mae small"
    filled = Variant(
        0.2, selector="random", positive_weight=3, seed=2, interpolation=Interpolation("shape")
    )
    assert filled.description == "shape from random weight 3 seed 2"
    assert Variant(0.2, scope="dataset", min_per_volume=2).description == (
        "fixed scope dataset min per volume 2"
    )


def test_same_but() -> None:
    one, other = Variant(0.2, seed=1), Variant(0.2, seed=2)
    assert one.same_but("seed") == other.same_but("seed")
    assert one.same_but("rho") != other.same_but("rho")


def test_unknown_preset_of_features() -> None:
    with pytest.raises(SparseError, match="unknown preset 'huge', choose from tiny, small"):
        Variant(0.2, selector="random", mae="huge")
