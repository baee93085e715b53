"""What is said of ways of spending a budget: what it rests on, and what the paper advises."""

from collections import Counter
from collections.abc import Collection, Sequence

from nnunet_sparse.features.mae_presets import DEFAULT_MAE_PRESET
from nnunet_sparse.grid.results import Result
from nnunet_sparse.report.grid.budget_choices import (
    MIN_TRAININGS,
    Choice,
    density_of,
    reason_against,
)
from nnunet_sparse.report.grid.spending import Volumes
from nnunet_sparse.selection.budget import num_annotated_volumes
from nnunet_sparse.selection.variant import Variant

# with less probability of being better, options are not told apart
SURE = 0.8
SOURCE = "Zhang, Kramer and Mazurowski, MIDL 2026, arXiv 2412.08081"
# the paper's lowest density, and the one below which ATLAS is an exception in 3D
LEAST_RHO = 0.05
LEAST_RHO_ATLAS = 0.2
_ADVICE = f"""\
  What the paper advises ({SOURCE}), section 6:
    "annotation budgets should be unbiasedly distributed across as many volumes as possible for 2D
    segmentation tasks", "slice selection at fixed interval is a safe choice"; its lowest density is
    {LEAST_RHO}"""
_ADVICE_3D = """\
    In 3D, that sparser annotations are better "generally holds true as well", but "maintaining a
    minimum number of annotated slices per volume to ensure effective model training and
    convergence" counts too; it gives no number. Of ATLAS alone it says "When
    annotation density falls below 20%, prioritizing a higher volume count over annotation density
    does not result in improved model performance"; the trends of its other tasks "mirror those in
    2D" (section 4.1.2)"""


def paper_lines(dimensions: Collection[str]) -> list[str]:
    """What the paper advises, in 2D and, where that is among the dimensions, in 3D."""
    return _ADVICE.splitlines() + (_ADVICE_3D.splitlines() if "3D" in dimensions else [])


def used_lines(results: Sequence[Result]) -> list[str]:
    """Which results enter the fit, and which do not."""
    if not results:
        return ["    no training has been scored"]
    used = [r for r in results if not reason_against(r)]
    unused = Counter(reason_against(r) for r in results if reason_against(r))
    lines = [f"    used: {len(used)} of {len(results)} trainings"]
    if used:
        rhos, fractions = _range([density_of(r) for r in used]), _range([r.variant.s for r in used])
        selectors = ", ".join(sorted({r.variant.way_of_choosing for r in used}))
        lines[0] += f", densities {rhos}, volume fractions {fractions}, selectors {selectors}"
    if unused:
        counts = ", ".join(f"{count} {reason}" for reason, count in sorted(unused.items()))
        lines.append(f"    not used: {counts}")
    return lines


def _range(values: Sequence[float]) -> str:
    low, high = number_text(min(values)), number_text(max(values))
    return low if low == high else f"{low} to {high}"


def basis_lines(results: Sequence[Result]) -> list[str]:
    """Number of cells and trainings from which the intervals were computed."""
    used = [r for r in results if not reason_against(r)]
    cells = Counter((density_of(r), r.variant.s, r.variant.way_of_choosing) for r in used)
    low, high = min(cells.values()), max(cells.values())
    number = f"{low}" if low == high else f"{low} to {high}"
    plural = "" if high == 1 else "s"
    lines = [f"    intervals rest on {len(cells)} cells with {number} training{plural} each"]
    if high == 1:
        lines += [
            "    one repeat: how much trainings differ from run to run is unknown, and is guessed",
            "    from how smoothly the score changes between cells",
        ]
    return lines


def told_apart(found: Sequence[Choice]) -> list[str]:
    """How sure it is that the first choice is the best."""
    if len(found) == 1:
        return []
    lines = [f"      the best of {len(found)} options with probability {found[0].probability:.0%}"]
    alike = sum(choice.behind < SURE for choice in found[1:])
    if found[0].probability < SURE and alike:
        which = "any" if alike == len(found) - 1 else f"{alike}"
        lines[0] += f"; it cannot be told apart from {which} of the others"
        lines.append(f"      (it is better than them with probabilities below {SURE:.0%})")
    return lines


def interval_text(choice: Choice) -> str:
    """Interval of the expected score."""
    return f"{choice.low:.3f} to {choice.high:.3f}"


def why_not(results: Sequence[Result], volumes: Volumes, budget: int) -> list[str]:
    """Why results allow no advice on a budget."""
    used = [r for r in results if not reason_against(r)]
    if len(used) < MIN_TRAININGS:
        return [f"    at least {MIN_TRAININGS} are needed"]
    rhos, fractions = [density_of(r) for r in used], [r.variant.s for r in used]
    low, high = (
        int(volumes.costs(rho)[num_annotated_volumes(s, volumes.number) - 1])
        for rho, s in ((min(rhos), min(fractions)), (max(rhos), max(fractions)))
    )
    if low <= budget <= high:
        return [f"    whole volumes at these densities do not come near {budget} slices"]
    return [f"    they cover budgets of {low} to {high} slices, not {budget}"]


def number_text(value: float) -> str:
    """Shortest text that gives the same number."""
    return repr(float(value)).removesuffix(".0")


def way_options(way: Variant) -> dict[str, str]:
    """Options of commands that choose slices by a variant's selector; empty texts for defaults."""
    return {
        "--selector": way.selector,
        "--mae": way.mae if way.mae != DEFAULT_MAE_PRESET else "",
        "--mae_seed": str(way.mae_seed or ""),
    }
