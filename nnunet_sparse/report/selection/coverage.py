"""How well the chosen slices represent the others, by their features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from tqdm import tqdm

from nnunet_sparse.data.check_base import CheckedCase
from nnunet_sparse.features.feature_store import SliceFeatures
from nnunet_sparse.selection.choose_slices import choose_slices
from nnunet_sparse.selection.selection import Selection
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.selectors import selector_class
from nnunet_sparse.selectors.cover import best_similarity, unit_rows


@dataclass(frozen=True)
class CurvePoint:
    """One selection of a curve.

    Attributes
    ----------
    rho
        Density asked for.
    budget
        Number of slices chosen.
    coverage
        See :func:`coverage`.
    """

    rho: float
    budget: int
    coverage: float


def coverage(features: SliceFeatures, selection: Selection, volumes: Sequence[str]) -> float:
    """Mean similarity of the slices that were not chosen to the most similar one that was.

    Similarity is the cosine of standardised features. With scope ``volume`` slices count as
    represented by those of their own volume only, with scope ``dataset`` by all.

    Parameters
    ----------
    features
        Of at least these volumes.
    selection
        Chosen slices.
    volumes
        Cases whose slices are to be represented.

    Returns
    -------
    float
        In [-1, 1]; NaN if every slice was chosen. A volume of which nothing was chosen counts as
        represented by -1 with scope ``volume``.
    """
    values = features.standardised()
    chosen = {c: set(case.slices) for c, case in selection.cases.items()}
    groups = [[c] for c in volumes] if selection.variant.scope == "volume" else [list(volumes)]
    similarities = []
    for group in groups:
        unit = unit_rows(np.concatenate([values[c] for c in group]))
        is_chosen = np.concatenate(
            [np.isin(np.arange(len(values[c])), sorted(chosen.get(c, ()))) for c in group]
        )
        picked, rest = np.flatnonzero(is_chosen), np.flatnonzero(~is_chosen)
        similarities.append(best_similarity(unit, picked, rest))
    everything = np.concatenate(similarities)
    return float(everything.mean()) if len(everything) else float("nan")


def coverage_curves(
    base: str,
    variant: Variant,
    axis: int,
    volumes: Mapping[str, CheckedCase],
    features: SliceFeatures,
    densities: Sequence[float],
    selectors: Sequence[str],
) -> dict[str, list[CurvePoint]]:
    """Coverage of selections of several selectors and densities, all else as in a variant.

    Parameters
    ----------
    base
        Name of the base.
    variant
        Its scope, seed and weight are used.
    axis
        Slice axis.
    volumes
        Volumes that may be annotated.
    features
        Of all training volumes.
    densities
        Values of rho.
    selectors
        Names, with default parameters; those that lack the variant's scope, or ask a trained
        network, are left out.

    Returns
    -------
    dict of str to list of CurvePoint
        By selector, with rising density.
    """
    curves = {}
    classes = {name: selector_class(name) for name in selectors}
    names = [n for n, c in classes.items() if variant.scope in c.scopes and not c.asks_network()]
    for name in tqdm(names, desc="Coverage of selectors", leave=False, disable=None):
        cls = classes[name]
        points = []
        for rho in sorted(densities):
            other = replace(
                variant,
                rho=rho,
                slices_per_volume=None,
                budget=None,
                selector=name,
                parameters={},
                min_per_volume=0,
            )
            used = features if "features" in cls.uses else None
            selection = choose_slices(base, other, axis, volumes, used)
            share = coverage(features, selection, list(volumes))
            points.append(CurvePoint(rho, selection.budget, share))
        curves[name] = points
    return curves
