"""The table of findings: what an experiment says of the paper's claims, with verdicts."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import pandas as pd

from nnunet_sparse.grid.cell_kinds import INTERPOLATED, SPARSE
from nnunet_sparse.report.grid.factor_columns import having, varying
from nnunet_sparse.report.grid.over_tasks import over_tasks
from nnunet_sparse.report.grid.paired_statistics import (
    Difference,
    difference,
    interpolated_against_sparse,
    matched,
    more_volumes,
    selector_against,
)
from nnunet_sparse.report.grid.panels import Panel
from nnunet_sparse.report.grid.round_lines import RoundLines
from nnunet_sparse.report.grid.round_tables import round_findings
from nnunet_sparse.report.tables import Table

_MISSING = ""
_Row = tuple[tuple[str, ...], tuple[str, str]]
_Pairs = Callable[[pd.DataFrame], pd.DataFrame]


def findings_table(shown: Sequence[Panel], rounds: Sequence[RoundLines] = ()) -> Table:
    """Verdicts: each finding for all tasks together and for each task and way of training.

    Checks beside the comparison are no part of all tasks together. What an experiment cannot tell,
    because nothing of it is missing and no two of its cells make a pair, has no row.
    """
    main = [panel for panel in shown if not panel.is_extra]
    everything = pd.concat([panel.trainings for panel in main or shown])
    several = shown if len(shown) > 1 else ()
    rows: list[_Row] = []
    for claim, pairs_of in _claims(everything):
        is_part = everything["result"].isna().any()
        found = _difference(pairs_of, everything)
        if found is not None or is_part:
            rows.append((_verdict(claim, "all", found), ("", "")))
        of_panels = {panel.title: _difference(pairs_of, panel.trainings) for panel in several}
        rows += _over_tasks(claim, main, of_panels)
        for panel in several:
            found = of_panels[panel.title]
            if found is not None or panel.trainings["result"].isna().any():
                group = (panel.task, panel.configuration)
                rows.append((_verdict(claim, panel.title, found), group))
    of_tasks = {lines.title: (lines.panel.task, lines.panel.configuration) for lines in rounds}
    for claim, task, found in round_findings(rounds):
        rows.append((_verdict(claim, task, found), of_tasks.get(task, ("", ""))))
    header = ("finding", "task", "verdict", "difference of IoU", "95 % interval", "cells", "won")
    title = (
        "Findings: mean paired difference of batched IoU, with its interval over test cases, "
        "repeats and seeds"
    )
    texts, groups = tuple(row for row, _ in rows), tuple(group for _, group in rows)
    return Table("findings", title, header, texts, groups)


def _over_tasks(
    claim: str, shown: Sequence[Panel], of_panels: Mapping[str, Difference | None]
) -> list[_Row]:
    """Rows for 2D and for 3D whose sample is the tasks, where there are several."""
    rows: list[_Row] = []
    for dimensions in ("2D", "3D"):
        of_tasks: dict[str, list[Difference]] = {}
        for panel in shown:
            own = of_panels.get(panel.title)
            if panel.dimensions == dimensions and own is not None:
                of_tasks.setdefault(panel.task, []).append(own)
        found = over_tasks(list(of_tasks.values()))
        if found is not None:
            task = f"{dimensions}, tasks as the sample ({len(of_tasks)})"
            rows.append((_verdict(claim, task, found), ("", "")))
    return rows


def _difference(pairs_of: _Pairs, trainings: pd.DataFrame) -> Difference | None:
    """Mean difference of the pairs that have been scored."""
    return difference(pairs_of(trainings[trainings["result"].notna()]))


def _claims(asked: pd.DataFrame) -> list[tuple[str, _Pairs]]:
    """What can be asked of an experiment."""
    spread = "fewer slices on more volumes are better than more on fewer"
    claims: list[tuple[str, _Pairs]] = [(f"{spread} (same budget)", more_volumes)]
    sparse = having(asked, kind=SPARSE)
    names = sorted(sparse["way"].unique())
    # what holds for one selector may not hold for another
    for name in names if len(names) > 1 else ():
        claims.append((f"{spread}, if chosen by {name}", _more_volumes(name)))
    ranked = sorted(names, key=lambda name: (name in ("fixed", "random"), name))
    for one, other in combinations(ranked, 2):
        claims.append((f"{one} is better than {other}", _selectors(one, other)))
    if varying(sparse, "scope"):
        claims.append(("choosing from the whole data set is better", _scopes))
    for method in sorted(having(asked, kind=INTERPOLATED)["interpolation"].unique()):
        claims.append((f"mask interpolation ({method}) helps", _interpolation(method)))
    return claims


def _more_volumes(selector: str) -> _Pairs:
    return lambda scored: more_volumes(having(scored, way=selector))


def _selectors(one: str, other: str) -> _Pairs:
    return lambda scored: selector_against(scored, one, other)


def _scopes(scored: pd.DataFrame) -> pd.DataFrame:
    sparse = having(scored, kind=SPARSE)
    of_all, of_each = (having(sparse, scope=scope) for scope in ("dataset", "volume"))
    return matched(of_all, of_each, "scope", "min_per_volume")


def _interpolation(method: str) -> _Pairs:
    return lambda scored: interpolated_against_sparse(
        scored[scored["interpolation"].isin(["", method])]
    )


def _verdict(claim: str, task: str, found: Difference | None) -> tuple[str, ...]:
    if found is None:
        return (claim, task, "no pair of cells is done", *(_MISSING,) * 4)
    return (
        claim,
        task,
        found.verdict,
        f"{found.mean:+.3f}",
        f"{found.low:+.3f} to {found.high:+.3f}",
        str(found.num_cells),
        f"{found.wins:.0%}",
    )
