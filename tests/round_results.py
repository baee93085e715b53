"""Results of rounds that nobody has gone through."""

from collections.abc import Callable, Sequence

from grid_results import result

from nnunet_sparse.grid.results import Result
from nnunet_sparse.report.grid.panels import panels
from nnunet_sparse.report.grid.round_lines import RoundLines, round_lines
from nnunet_sparse.selection.round_path import RoundPath
from nnunet_sparse.selection.variant import Variant


def in_round(iou: float, number: int, selector: str, **changes: object) -> Result:
    """A result after a round, with 100 slices for each."""
    seed = changes.pop("seed", 0)
    first = Variant(0.1, selector="stratified", seed=seed)
    slices = changes.pop("num_slices", 100 * number)
    factors = {"rho": 0.1, "selector": "stratified"}
    if number > 1:
        parameters = {"rounds": 2} if selector == "clasp_pe" else {}
        path = RoundPath(first, 0.1, number, "2d_x1_a" if selector == "clasp_pe" else "")
        factors = {"rho": path.density(), "selector": selector, "rounds": path}
        factors |= {"parameters": parameters}
    return result(iou, kind="round", num_slices=slices, seed=seed, **factors, **changes)


def runs(
    scores: dict[str, Callable[[int, int], float]], repeats: int = 3, rounds: int = 3
) -> list[Result]:
    """Runs of selectors with the score of a round and repeat; the first round is 0.3."""
    found = [in_round(0.3, 1, "", repeat=k) for k in range(repeats)]
    for name, score in scores.items():
        for number in range(2, rounds + 1):
            found += [in_round(score(number, k), number, name, repeat=k) for k in range(repeats)]
    return found


def only_lines(results: Sequence[Result]) -> RoundLines:
    (lines,) = round_lines(panels(results))
    return lines
