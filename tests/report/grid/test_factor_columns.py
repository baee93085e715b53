import pandas as pd
from grid_results import result

from nnunet_sparse.report.grid.factor_columns import (
    amounts,
    grouped,
    having,
    pooled_over,
    selector_names,
    varying,
)
from nnunet_sparse.report.grid.panels import panels


def trainings(*factors: dict[str, object]) -> pd.DataFrame:
    """A row for each training with these factors."""
    (panel,) = panels(result(**each) for each in factors)
    return panel.trainings


def test_factors_are_columns() -> None:
    rows = trainings(*({"rho": rho, "seed": seed} for rho in (0.2, 0.1) for seed in (1, 0)))
    assert having(rows, rho=0.1, seed=0).index.tolist() == [3]
    assert [key for key, _ in grouped(rows, "rho")] == [(0.1,), (0.2,)]
    assert varying(rows, "scope", "seed", "rho") == ("seed", "rho")
    assert pooled_over(rows, "selector") == "repeats"
    assert pooled_over(rows, "selector", "seed") == "seeds and repeats"


def test_amounts_of_different_kinds() -> None:
    rows = trainings({"budget": 5}, {"rho": 0.4}, {"slices_per_volume": 3}, {"rho": 0.1})
    assert [amount.text for amount in sorted(rows["amount"].unique())] == [
        "0.1",
        "0.4",
        "3 each",
        "5 in all",
    ]
    assert amounts(rows) == ("rho", "slices_per_volume", "budget")
    parts = [part.index.tolist() for _, part in grouped(rows, "rho")]
    assert parts == [[0, 2], [3], [1]]


def test_names_of_selectors_say_what_tells_them_apart() -> None:
    def names(*factors: dict[str, object]) -> list[str]:
        return list(selector_names(trainings(*factors)).values())

    ual: dict[str, object] = {"selector": "ual"}
    small = ual | {"mae": "small", "parameters": {"clusters": 5}}
    assert names(ual, small, {}) == ["fixed", "ual", "ual clusters=5 small"]
    whole = {"scope": "dataset"}
    assert names({}, whole) == ["fixed (dataset)", "fixed (volume)"]
    assert names({}, whole, whole | {"min_per_volume": 2}) == [
        "fixed (dataset, at least 0)",
        "fixed (dataset, at least 2)",
        "fixed (volume)",
    ]
