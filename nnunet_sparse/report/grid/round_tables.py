"""Tables of rounds of annotation."""

from collections.abc import Mapping, Sequence
from itertools import combinations

from nnunet_sparse.report.grid.factor_columns import having
from nnunet_sparse.report.grid.foreground_efficiency import foreground_efficiency
from nnunet_sparse.report.grid.paired_statistics import Difference
from nnunet_sparse.report.grid.round_lines import RoundLines, area_difference, areas
from nnunet_sparse.report.grid.round_penalties import penalty_matrix
from nnunet_sparse.report.tables import Table, mean_and_deviation

_MISSING, _UNDEFINED = "", "undefined"


def round_tables(every: Sequence[RoundLines], shares: Mapping[str, float]) -> list[Table]:
    """All of them; none without rounds.

    Parameters
    ----------
    every
        Lines of all settings.
    shares
        Share of the foreground that is annotated, by full name of the data set.
    """
    return [_scores(every), _areas(every, shares), _penalties(every)] if every else []


def _scores(every: Sequence[RoundLines]) -> Table:
    """Batched IoU after each round."""
    most = max(lines.num_rounds for lines in every)
    rows, groups = [], []
    for lines in every:
        for name in lines.names:
            scored, asked = having(lines.scored, line=name), having(lines.trainings, line=name)
            cells = []
            for number in range(1, most + 1):
                done, of = having(scored, round=number), having(asked, round=number)
                text = mean_and_deviation(done["batched_IoU"].tolist())
                cells.append(text + _part(len(done), len(of)) if len(done) else _MISSING)
            slices = [having(scored, round=k)["num_slices"] for k in range(1, most + 1)]
            numbers = [f"{mean.mean():.0f}" if len(mean) else "?" for mean in slices]
            rows.append((lines.title, name, ", ".join(numbers), *cells))
            groups.append((lines.panel.task, lines.panel.configuration))
    header = ("task", "selector", "slices", *(f"round {k}" for k in range(1, most + 1)))
    title = (
        "Rounds of annotation: batched IoU after each, mean ± standard deviation over seeds and "
        "repeats"
    )
    return Table("rounds", title, header, tuple(rows), tuple(groups))


def _areas(every: Sequence[RoundLines], shares: Mapping[str, float]) -> Table:
    """Area under the budget curve and foreground efficiency of each line."""
    rows, groups = [], []
    for lines in every:
        reference, rates = lines.names[0], foreground_efficiency(lines, shares)
        for name in lines.names:
            found = areas(lines, name)
            asked = having(lines.trainings, line=name, round=1)
            area = mean_and_deviation(found)
            against = None if name == reference else area_difference([lines], name, reference)
            rate = rates[name]
            rows.append(
                (
                    lines.title,
                    name,
                    area + _part(len(found), len(asked)) if found else _MISSING,
                    _MISSING if rate is None else f"{rate:.2f}",
                    reference if against else _MISSING,
                    *_in_words(against),
                )
            )
            groups.append((lines.panel.task, lines.panel.configuration))
    header = (
        *("task", "selector", "area", "foreground efficiency", "compared with"),
        *("difference of area", "95 % interval", "better"),
    )
    title = (
        "Rounds of annotation: area under the budget curve (mean batched IoU over the number of "
        "annotated slices, by the trapezoidal rule), mean ± standard deviation over complete runs; "
        "foreground efficiency (FG-Eff of nnActive: rate at which the IoU approaches that of dense "
        "annotation with the share of the foreground that is annotated); paired difference of the "
        "area from that of the selector that the file names first"
    )
    return Table("rounds_area", title, header, tuple(rows), tuple(groups))


def _penalties(every: Sequence[RoundLines]) -> Table:
    """Pairwise penalty matrix over all settings that are compared."""
    matrix, names = penalty_matrix(compared(every)), names_of(every)
    rows = []
    for name in names:
        cells = [matrix.get((name, other)) for other in names]
        rows.append((name, *("" if value is None else f"{value:.2f}" for value in cells)))
    beaten = []
    for other in names:
        values = [matrix[name, other] for name in names if (name, other) in matrix]
        beaten.append(f"{sum(values) / len(values):.2f}" if values else "")
    rows.append(("is beaten, mean", *beaten))
    title = (
        "Rounds of annotation: pairwise penalty matrix (Ash et al. 2020), share of settings and "
        "later rounds in which the selector of the row is significantly better than that of the "
        "column (paired t test over seeds and repeats at 5 %); the lower the mean of a column, the "
        "better"
    )
    return Table("rounds_penalty", title, ("beats", *names), tuple(rows))


def names_of(every: Sequence[RoundLines]) -> list[str]:
    """Names of all lines, in the order of the file."""
    return list(dict.fromkeys(name for lines in every for name in lines.names))


def compared(every: Sequence[RoundLines]) -> list[RoundLines]:
    """Settings that count for what is said of all tasks: not checks beside the comparison."""
    return [lines for lines in every if not lines.panel.is_extra] or list(every)


def round_findings(every: Sequence[RoundLines]) -> list[tuple[str, str, Difference | None]]:
    """Claim, task and difference of areas: of all tasks together, and of each setting.

    What an experiment cannot tell, because nothing of it is missing and no two runs are complete,
    is left out.
    """
    found = []
    for one, other in combinations(reversed(names_of(every)), 2):
        claim = f"{one} is better than {other} in rounds (area under the budget curve)"
        both = [lines for lines in every if {one, other} <= set(lines.names)]
        asked = [("all", compared(both)), *((lines.title, [lines]) for lines in both)]
        for task, chosen in asked[: 1 if len(both) == 1 else None]:
            gain = area_difference(chosen, one, other)
            is_missing = any(lines.trainings["result"].isna().any() for lines in chosen)
            if gain is not None or is_missing:
                found.append((claim, task, gain))
    return found


def _in_words(found: Difference | None) -> tuple[str, str, str]:
    if found is None:
        return (_MISSING,) * 3
    interval = f"{found.low:+.3f} to {found.high:+.3f}"
    return f"{found.mean:+.3f}", interval, found.verdict


def _part(num_done: int, num_asked: int) -> str:
    return f" ({num_done} of {num_asked})" if num_done < num_asked else ""
