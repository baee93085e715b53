"""Tables with a row for each training, or data set, and a column for each factor of its variant.

Besides the factors there are the columns ``amount``, how much is annotated (a
:class:`~nnunet_sparse.selection.budget.Budget`), and ``way``, by what slices are chosen.
"""

from collections.abc import Hashable

import pandas as pd

from nnunet_sparse.selection.budget import AMOUNT
from nnunet_sparse.selection.variant import FACTORS, WAY_OF_CHOOSING, factor_title

CHOICE = ("way", "scope", "min_per_volume")
"""Factors that say how slices are chosen."""


def with_factors(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the columns of the factors to a table with a column ``variant``."""
    variants = rows["variant"].tolist()
    return rows.assign(
        **{name: [variant.value(name) for variant in variants] for name in FACTORS},
        amount=pd.Series([variant.amount for variant in variants], rows.index, dtype=object),
        way=[variant.way_of_choosing for variant in variants],
    )


def title_of(name: str) -> str:
    """Name of a factor for people."""
    return "selector" if name == "way" else factor_title(name)


def having(rows: pd.DataFrame, **factors: object) -> pd.DataFrame:
    """Rows with these values."""
    for name, value in factors.items():
        rows = rows[rows[name] == value]
    return rows


def grouped(rows: pd.DataFrame, *names: str) -> list[tuple[tuple[Hashable, ...], pd.DataFrame]]:
    """Rows by the values of some factors, ascending; where a factor does not apply comes first."""
    ordered = rows.sort_values(list(names), na_position="first", kind="stable")
    return list(ordered.groupby(list(names), sort=False, dropna=False))


def varying(rows: pd.DataFrame, *names: str) -> tuple[str, ...]:
    """Those of the factors that have more than one value."""
    return tuple(name for name in names if rows[name].nunique(dropna=False) > 1)


def other_factors(rows: pd.DataFrame, *left_out: str) -> tuple[str, ...]:
    """Factors that vary, besides amount, volume fraction and some others."""
    names = ("way", *FACTORS[FACTORS.index(WAY_OF_CHOOSING[-1]) + 1 :])
    return varying(rows, *(name for name in names if name not in left_out))


def amounts(rows: pd.DataFrame) -> tuple[str, ...]:
    """Factors by which it is said how much is annotated; most often ``rho`` alone."""
    return tuple(name for name in AMOUNT if rows[name].notna().any())


def pooled_over(rows: pd.DataFrame, *names: str) -> str:
    """What a mean is taken over, as ``selectors, seeds and repeats``."""
    several = [f"{title_of(name)}s" for name in varying(rows, *names)]
    return " and ".join([", ".join(several), "repeats"]) if several else "repeats"


def selector_names(rows: pd.DataFrame) -> dict[tuple[Hashable, ...], str]:
    """Names of the ways of choosing, by the factors :data:`CHOICE`.

    The scope, and the least number of slices of a volume, are in them where there are several.
    """
    names = {}
    scopes = varying(rows, "scope")
    least = varying(having(rows, scope="dataset"), "min_per_volume")
    for key, _ in grouped(rows, *CHOICE):
        way, scope, number = key
        several = [str(scope) for _ in scopes]
        several += [f"at least {number}" for _ in least if scope == "dataset"]
        names[key] = str(way) + (f" ({', '.join(several)})" if several else "")
    return names
