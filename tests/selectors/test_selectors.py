"""What holds for every selector, and what is particular to ours."""

import math
from collections import Counter
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_sparse.selectors import (
    FixedSelector,
    Pool,
    SeenByNetwork,
    Selector,
    get_selector,
    parse_parameters,
    register,
    registry,
    representative,
    selector_names,
)
from nnunet_sparse.selectors.cover import unit_rows
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.randomness import generator

QUICK = settings(max_examples=40)


def pool_of(num_slices: int, seed: int = 0, **changes: Any) -> Pool:
    """A volume of which everything is known."""
    rng = np.random.default_rng(seed)
    objects = (np.arange(num_slices // 3, num_slices // 2 + 1),)
    fields: dict[str, Any] = {
        "features": rng.normal(size=(num_slices, 5)),
        "classes": rng.random((num_slices, 2)) < 0.3,
        "objects": tuple(o[o < num_slices] for o in objects),
        "network": seen(num_slices, seed),
    }
    return Pool.of_volume(num_slices, **fields | changes)


def seen(num_slices: int, seed: int = 0, **changes: Any) -> SeenByNetwork:
    """What two networks with a background and two classes might say of a volume."""
    rng = np.random.default_rng(seed)
    fields: dict[str, Any] = {
        "entropy": rng.random(num_slices),
        "bald": rng.random(num_slices),
        "class_entropy": rng.random((num_slices, 3)),
        "predicted": (rng.random((num_slices, 3)) < 0.4) * 7,
        "position_mm": 3.0 * np.arange(num_slices),
        "num_networks": 2,
    }
    return SeenByNetwork(**fields | changes)


def select(name: str, pool: Pool, budget: int, seed: int = 0, **parameters: Any) -> list[int]:
    return list(get_selector(name, parameters).select(pool, budget, generator(seed)))


@st.composite
def sizes(draw: st.DrawFn) -> tuple[int, int]:
    num_slices = draw(st.integers(1, 60))
    return num_slices, draw(st.integers(1, num_slices))


@pytest.mark.parametrize("name", selector_names())
@QUICK
@given(sizes(), st.integers(0, 2**31), st.data())
def test_chooses_exactly_the_budget_among_what_is_not_annotated(
    name: str, size: tuple[int, int], seed: int, data: st.DataObject
) -> None:
    num_slices, budget = size
    pool = pool_of(num_slices, seed % 7)
    annotated = data.draw(st.sets(st.integers(0, num_slices - 1), max_size=num_slices - budget))
    pool.chosen[list(annotated)] = True
    chosen = get_selector(name).select(pool, budget, generator(seed))
    assert chosen.dtype == np.int64
    assert len(chosen) == budget
    assert (np.diff(chosen) > 0).all()
    assert set(chosen) <= set(range(num_slices)) - annotated
    np.testing.assert_array_equal(chosen, get_selector(name).select(pool, budget, generator(seed)))


@pytest.mark.parametrize("name", selector_names())
def test_all_slices_of_several_volumes(name: str) -> None:
    pools = [pool_of(n, n) for n in (4, 1, 7)]
    everything = Pool.joined(pools)
    assert everything.num_slices == (4, 1, 7)
    assert select(name, everything, 12) == list(range(12))


@pytest.mark.parametrize("name", selector_names())
@pytest.mark.parametrize("features", [np.zeros((9, 3)), np.ones((9, 3)), np.eye(9)[[0, 1, 2] * 3]])
def test_features_that_tell_little(name: str, features: np.ndarray) -> None:
    assert len(select(name, pool_of(9, features=features), 6)) == 6


@pytest.mark.parametrize("name", selector_names())
@pytest.mark.parametrize("budget", [0, 11])
def test_budget_out_of_range(name: str, budget: int) -> None:
    with pytest.raises(ValueError, match=r"1\.\.10"):
        get_selector(name).select(pool_of(10), budget, generator(0))


@pytest.mark.parametrize("name", ["ual", "coreset"])
def test_features_must_be_numbers_and_there(name: str) -> None:
    with pytest.raises(ValueError, match="finite"):
        select(name, pool_of(4, features=np.full((4, 2), np.nan)), 2)
    with pytest.raises(ValueError, match="needs features"):
        select(name, pool_of(4, features=None), 2)
    with pytest.raises(ValueError, match="3 features for 4 slices"):
        select(name, pool_of(4, features=np.ones((3, 2))), 2)


def test_only_simulations_look_at_labels() -> None:
    simulations = {n for n in selector_names() if get_selector(n).looks_at_labels()}
    assert simulations == {"foreground_random", "single_object"}
    for name in set(selector_names()) - simulations:
        seen = pool_of(30)
        blind = replace(seen, classes=None, objects=None)
        assert select(name, seen, 7) == select(name, blind, 7)


def test_unknown_selector_names_the_known_ones() -> None:
    with pytest.raises(SparseError, match="'nope', choose from bald, clasp_pe, coreset"):
        get_selector("nope")


def test_a_taken_name_is_refused() -> None:
    with pytest.raises(ValueError, match="already registered"):
        register("fixed")(FixedSelector)


def test_what_is_no_selector_is_refused() -> None:
    class NoDataclass(Selector):
        uses: ClassVar[frozenset[str]] = frozenset({"magic"})

    with pytest.raises(ValueError, match="must be a dataclass derived from Selector"):
        register("new")(object)  # type: ignore[type-var]
    with pytest.raises(ValueError, match="uses 'magic'"):
        register("new")(dataclass(frozen=True)(NoDataclass))

    @dataclass(frozen=True)
    class Unusual(FixedSelector):
        weights: tuple[int, ...] = ()

    with pytest.raises(ValueError, match="parameter 'weights' of selector 'new' needs a default"):
        register("new")(Unusual)


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([0, 0, 1], "it chose a slice twice"),
        ([0, 1, 99], "it chose slices that are not available"),
        ([0, 1], "it chose 2 slices instead of 3"),
        (None, "failed: TypeError"),
    ],
)
def test_a_faulty_selector_is_named(positions: list[int] | None, message: str) -> None:
    @dataclass(frozen=True)
    class Faulty(Selector):
        name: ClassVar[str] = "faulty"

        def _choose(self, *_: Any) -> np.ndarray:
            return np.array([*positions])  # type: ignore[misc]

    with pytest.raises(SparseError, match=f"selector 'faulty' .*{message}"):
        Faulty().select(Pool.of_volume(5), 3, np.random.default_rng(0))


def test_parameters() -> None:
    assert get_selector("ual", {"clusters": 5}).parameters["clusters"] == 5
    assert parse_parameters("ual", ["clusters=5", "candidates=all", "coverage=1"]) == {
        "clusters": 5,
        "candidates": "all",
        "coverage": 1.0,
    }
    for name, values, message in (
        ("ual", {"nope": 1}, "no parameter 'nope'; it has candidates, clusters"),
        ("fixed", {"nope": 1}, "it has none"),
        ("ual", {"clusters": 0}, "clusters must be at least 1, got 0"),
        ("ual", {"coverage": 0.0}, r"coverage must lie in \(0, 1\]"),
        ("ual", {"universe": "x"}, "universe must be all or candidates, got 'x'"),
        ("foreground_random", {"share": 2.0}, r"share must lie in \[0, 1\], got 2"),
    ):
        with pytest.raises(SparseError, match=message):
            get_selector(name, values)
    with pytest.raises(SparseError, match="may hold letters, digits"):
        get_selector("ual", {"candidates": "../x"})
    for texts, message in (
        (["clusters"], "key=value"),
        (["clusters=x"], "parameter clusters of selector 'ual' is like 3, got 'x'"),
        (["cluster=3"], "no parameter 'cluster'; it has candidates, clusters"),
        (["clusters=2", "clusters=3"], "parameter clusters of selector 'ual' is given twice"),
    ):
        with pytest.raises(SparseError, match=message):
            parse_parameters("ual", texts)


@pytest.mark.parametrize(("text", "value"), [("True", True), ("1", True), ("false", False)])
def test_a_parameter_that_is_a_switch(
    monkeypatch: pytest.MonkeyPatch, text: str, value: bool
) -> None:
    monkeypatch.setattr(registry, "_SELECTORS", {})

    @register("switched")
    @dataclass(frozen=True)
    class Switched(Selector):
        on: bool = False

        def _choose(self, *_: Any) -> np.ndarray:
            return np.array([0])

    assert parse_parameters("switched", [f"on={text}"]) == {"on": value}
    with pytest.raises(SparseError, match="is like False, got 'yes'"):
        parse_parameters("switched", ["on=yes"])


def test_selectors_of_other_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    value = "nnunet_sparse.selectors.fixed:FixedSelector"
    points = {"theirs": EntryPoint("theirs", value, registry.ENTRY_POINTS)}
    points["broken"] = EntryPoint("broken", "no_such_module:X", registry.ENTRY_POINTS)
    monkeypatch.setattr(registry, "_entry_points", lambda: points)
    monkeypatch.setattr(registry, "_SELECTORS", dict(registry._SELECTORS))
    monkeypatch.setattr(FixedSelector, "name", "fixed")
    assert {"theirs", "broken"} < set(selector_names())
    assert isinstance(get_selector("theirs"), FixedSelector)
    with pytest.raises(SparseError, match="'broken' of no_such_module:X cannot be loaded"):
        get_selector("broken")


@QUICK
@given(sizes())
def test_fixed_is_the_formula(size: tuple[int, int]) -> None:
    num_slices, k = size
    expected = [math.floor((i + 0.5) * num_slices / k) for i in range(k)]
    assert select("fixed", pool_of(num_slices), k) == expected


def test_fixed_by_hand() -> None:
    assert select("fixed", pool_of(10), 3) == [1, 5, 8]


def positions(num_slices: int, k: int, start: float) -> list[int]:
    """Slices of the systematic selector for a start, which is drawn from [0, 1)."""

    class Start(np.random.Generator):
        def random(self, *_: Any) -> float:  # type: ignore[override]
            return start

    chosen = get_selector("systematic").select(pool_of(num_slices), k, Start(np.random.PCG64(0)))
    return list(chosen)


def test_systematic_by_hand() -> None:
    # steps of 10 / 3 from 0, 1.67 and 3.2 on
    assert positions(10, 3, 0) == [0, 3, 6]
    assert positions(10, 3, 0.5) == [1, 5, 8] == select("fixed", pool_of(10), 3)
    assert positions(10, 3, 0.96) == [3, 6, 9]


@QUICK
@given(sizes())
def test_systematic_chooses_every_slice_with_the_same_probability(size: tuple[int, int]) -> None:
    # slices change only where the start is a multiple of 1 / n: one of each part stands for all
    num_slices, k = size
    starts = [(part + 0.5) / num_slices for part in range(num_slices)]
    found = [positions(num_slices, k, start) for start in starts]
    assert Counter(i for chosen in found for i in chosen) == dict.fromkeys(range(num_slices), k)
    apart = {int(d) for chosen in found for d in np.diff(chosen)}
    assert apart <= {num_slices // k, -(-num_slices // k)}


def test_systematic_starts_anew_in_what_is_left() -> None:
    pool = pool_of(8)
    pool.chosen[[1, 5]] = True
    # of 0, 2, 3, 4, 6, 7 every third, and each equally often
    found = [tuple(select("systematic", pool, 2, seed)) for seed in range(900)]
    counts = Counter(found)
    assert set(counts) == {(0, 4), (2, 6), (3, 7)}
    # expected 300 each, standard deviation sqrt(900 * 1/3 * 2/3) = 14
    assert max(abs(number - 300) for number in counts.values()) < 4.5 * 14


def test_selectors_that_take_no_weights_get_strata() -> None:
    asked = []

    @dataclass(frozen=True)
    class Theirs(Selector):
        name: ClassVar[str] = "theirs"

        def _choose(self, pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
            del rng
            asked.append((pool.num_slices, pool.chosen.tolist(), budget))
            assert pool.weights is None
            return pool.available[:budget]

    weights = np.array([1.0, 9, 9, 1, 1, 1, 9, 1])
    pool = Pool((5, 2, 1), np.arange(8) == 0, weights)
    # a quarter of what is not annotated is 31 / 4, so that slices of 9 are certain
    assert Theirs().select(pool, 4, generator(0)).tolist() == [1, 2, 3, 6]
    assert asked == [((3, 1, 1), [True, False, False, False, False], 1), ((2, 1), [False] * 3, 3)]
    asked.clear()
    only = replace(pool, chosen=weights == 1)
    assert Theirs().select(only, 2, generator(0)).tolist() == [1, 2]
    assert asked == [((5, 2, 1), (weights == 1).tolist(), 2)]


@pytest.mark.parametrize("name", ["random", "stratified", "systematic"])
def test_every_slice_is_drawn_equally_often(name: str) -> None:
    counts = Counter(i for seed in range(4000) for i in select(name, pool_of(8), 2, seed))
    # expected 1000 each, standard deviation sqrt(4000 * 1/4 * 3/4) = 27
    assert max(abs(counts[i] - 1000) for i in range(8)) < 4.5 * 27


def test_positive_weight_is_a_ratio_of_probabilities() -> None:
    pool = pool_of(4, weights=np.array([3.0, 1.0, 1.0, 1.0]))
    # the first slice wins with probability 3 / 6, standard deviation 0.008
    share = np.mean([select("random", pool, 1, seed) == [0] for seed in range(4000)])
    assert share == pytest.approx(0.5, abs=0.035)


@pytest.mark.parametrize("name", selector_names())
@QUICK
@given(sizes(), st.integers(0, 99), st.sampled_from([0.1, 1.0, 2.3, 3.0]))
def test_equal_weights_change_nothing(
    name: str, size: tuple[int, int], seed: int, weight: float
) -> None:
    num_slices, budget = size
    plain = pool_of(num_slices, seed)
    weighted = replace(plain, weights=np.full(num_slices, weight))
    assert select(name, weighted, budget, seed) == select(name, plain, budget, seed)


@pytest.mark.parametrize("name", selector_names())
@QUICK
@given(sizes(), st.integers(0, 2**31), st.sampled_from([1e-9, 0.3, 1.5, 40.0, 1e300]))
def test_weights_choose_exactly_the_budget(
    name: str, size: tuple[int, int], seed: int, weight: float
) -> None:
    num_slices, budget = size
    rng = np.random.default_rng(seed)
    pool = pool_of(num_slices, weights=np.where(rng.random(num_slices) < 0.3, weight, 1.0))
    pool.chosen[: (num_slices - budget) // 2] = True
    chosen = select(name, pool, budget, seed)
    assert len(set(chosen)) == budget
    assert chosen == select(name, pool, budget, seed)
    assert not pool.chosen[chosen].any()


def foreground(num_slices: int = 40) -> np.ndarray:
    """A quarter of the slices, in one run."""
    return np.isin(np.arange(num_slices), np.arange(num_slices // 4, num_slices // 2))


def num_positive(name: str, budget: int, weight: float, repeats: int = 60) -> float:
    """Mean number of chosen slices with foreground, which look alike to the features."""
    numbers = []
    for seed in range(repeats):
        positive = foreground()
        features = np.random.default_rng(seed).normal(size=(40, 5))
        features[positive, 0] += 3
        pool = pool_of(
            40,
            seed,
            features=features,
            weights=np.where(positive, weight, 1.0),
            classes=positive[:, None],
            objects=(np.flatnonzero(positive)[2:5],),
        )
        numbers.append(positive[select(name, pool, budget, seed)].sum())
    return float(np.mean(numbers))


@pytest.mark.parametrize("name", selector_names())
def test_more_weight_gives_more_slices_with_foreground(name: str) -> None:
    numbers = [num_positive(name, 6, weight) for weight in (0.2, 1.0, 3.0, 30.0)]
    assert numbers == sorted(numbers)
    assert numbers[0] < numbers[-1]


@pytest.mark.parametrize("name", selector_names())
def test_all_slices_with_foreground_and_more(name: str) -> None:
    # ten slices have foreground; with such a weight they come first, then the others
    assert num_positive(name, 10, 1e6, 5) == 10
    assert num_positive(name, 20, 1e6, 5) == 10


@QUICK
@given(
    st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))),
    st.floats(0.1, 50),
    st.tuples(st.integers(0, 59), st.integers(0, 59)),
    st.sampled_from(["fixed", "stratified", "systematic"]),
)
def test_a_run_of_slices_has_its_share(
    size: tuple[int, int], weight: float, ends: tuple[int, int], name: str
) -> None:
    num_slices, budget = size
    run = np.isin(np.arange(num_slices), np.arange(min(ends), max(ends) + 1))
    weights = np.where(run, weight, 1.0)
    chosen = select(name, pool_of(num_slices, weights=weights), budget)
    share = budget * weights / weights.sum()
    if share.max() <= 1:  # none is certain
        # as systematic sampling promises; strata have whole slices
        allowed = 2 if name == "stratified" else 1
        assert abs(run[chosen].sum() - share[run].sum()) <= allowed + 1e-9


def test_weights_by_hand() -> None:
    weights = np.array([1.0, 1, 1, 3, 3, 1])
    # the ends of the slices are at 1, 2, 3, 6, 9 and 10; a step is 5
    assert select("fixed", pool_of(6, weights=weights), 2) == [2, 4]
    # a step is 2.5, so that slices 3 and 4 are certain; then 0 to 2 and 5 share two
    assert select("fixed", pool_of(6, weights=weights), 4) == [1, 3, 4, 5]
    # by its weight nearer to the start: 1, 2, 3, 4 / 3, 5 / 3 and 6
    assert select("first", pool_of(6, weights=weights), 3) == [0, 3, 4]
    # likewise to the object: 2, 1, 2, 3 / 3, 4 / 3 and 5
    near = pool_of(6, weights=weights, objects=(np.array([1]),))
    assert select("single_object", near, 3) == [1, 3, 4]


@QUICK
@given(sizes(), st.integers(0, 99))
def test_stratified_takes_one_of_each_part(size: tuple[int, int], seed: int) -> None:
    num_slices, budget = size
    bounds = [i * num_slices // budget for i in range(budget + 1)]
    chosen = select("stratified", pool_of(num_slices), budget, seed)
    assert all(low <= i < high for low, i, high in zip(bounds, chosen, bounds[1:], strict=False))


def test_foreground_random_draws_the_share_of_each_class() -> None:
    classes = np.zeros((100, 2), bool)
    classes[:10, 0] = classes[40, 1] = True
    pool = pool_of(100, classes=classes)
    counts = Counter(select("foreground_random", pool, 1, seed)[0] for seed in range(3000))
    # half of 0.66 for each class, and one percent of the rest
    assert counts[40] / 3000 == pytest.approx(0.33 + 0.0034, abs=0.04)
    assert sum(counts[i] for i in range(10)) / 3000 == pytest.approx(0.33 + 0.034, abs=0.04)
    assert select("foreground_random", pool, 11, share=1.0) == [*range(10), 40]


def test_biased_by_hand() -> None:
    pool = pool_of(9, objects=(np.array([2, 3, 4]),))
    assert select("first", pool, 3) == [0, 1, 2]
    assert select("middle", pool, 3) == [3, 4, 5]
    assert select("middle", pool_of(8), 3) == [2, 3, 4]
    assert select("single_object", pool, 2) == [2, 4]
    assert select("single_object", pool, 5) == [1, 2, 3, 4, 5]
    assert select("single_object", pool_of(9, objects=()), 3) == select("fixed", pool, 3)
    both = Pool.joined([pool_of(9), pool_of(3)])
    assert select("first", both, 3) == [0, 1, 9]
    assert select("middle", both, 2) == [4, 10]


def covering_radius(features: np.ndarray, centres: list[int]) -> float:
    distance = np.linalg.norm(features[:, None] - features[centres][None], axis=2)
    return float(distance.min(axis=1).max())


@QUICK
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_coreset_is_within_twice_the_best_radius(seed: int, budget: int) -> None:
    from itertools import combinations

    features = np.random.default_rng(seed).normal(size=(9, 2))
    best = min(covering_radius(features, list(c)) for c in combinations(range(9), budget))
    chosen = select("coreset", pool_of(9, features=features), budget, seed)
    assert covering_radius(features, chosen) <= 2 * best + 1e-9


def test_coreset_takes_the_farthest_from_what_is_annotated() -> None:
    pool = pool_of(5, features=np.array([[0.0], [1], [2], [7], [9]]))
    pool.chosen[0] = True
    assert select("coreset", pool, 1) == [4]
    # then 2 is 2 away from 0, and 7 is 2 away from 9: the first wins
    assert select("coreset", pool, 2) == [2, 4]


def test_ual_represents_each_group() -> None:
    rng = np.random.default_rng(0)
    centres = np.repeat(np.eye(6)[:4], [20, 10, 5, 5], axis=0)
    features = centres + rng.normal(scale=0.02, size=centres.shape)
    pool = pool_of(40, features=features)
    for parameters in ({}, {"candidates": "all"}, {"universe": "candidates"}, {"clusters": 1}):
        chosen = select("ual", pool, 4, **parameters)
        assert [np.searchsorted([20, 30, 35], i, "right") for i in chosen] == [0, 1, 2, 3]
    pool.chosen[[3, 22]] = True
    assert [int(i >= 35) for i in select("ual", pool, 2)] == [0, 1]
    assert select("ual", pool, 2)[0] >= 30


def test_ual_clusters_a_sample_of_many_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    centres = np.repeat(np.eye(6)[:3], [50, 30, 20], axis=0)
    unit = unit_rows(centres + rng.normal(scale=0.05, size=centres.shape))
    expected = [set(members) for members in representative._clusters(unit, 3)]
    assert sorted(map(len, expected)) == [20, 30, 50]
    monkeypatch.setattr(representative, "_MAX_CLUSTERED", 20)
    found = [set(members) for members in representative._clusters(unit, 3)]
    assert sorted(found, key=min) == sorted(expected, key=min)


def test_the_seed_does_not_matter_to_ual() -> None:
    assert select("ual", pool_of(40), 9, 0) == select("ual", pool_of(40), 9, 1)
