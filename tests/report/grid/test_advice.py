import os
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import BaseMaker
from grid_fixtures import write_grid
from grid_results import grid_of_results, result

from nnunet_sparse.dataset_tools.make_dataset_command import main as make_dataset
from nnunet_sparse.grid.cells import bases
from nnunet_sparse.grid.open_grid import Grid
from nnunet_sparse.grid.overview import base_facts
from nnunet_sparse.grid.template import PRESETS
from nnunet_sparse.report.grid import advice as module
from nnunet_sparse.report.grid.advice import advice
from nnunet_sparse.report.grid.advise_command import main
from nnunet_sparse.report.grid.budget_choices import choices
from nnunet_sparse.report.grid.spending import Volumes
from nnunet_sparse.selection.budget import Budget, num_annotated_volumes
from nnunet_sparse.selection.choose_slices import choose_volumes
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import ENV_NAMES, export_lines

TEXT = """\
nnunet: nnunet
tasks:
  - base: 4
    val: 2
    test: 2
configurations:
  - configuration: 2d
  - configuration: 3d_fullres
"""
LENGTHS = {f"case_{i:02d}": 60 + 7 * (i * i % 11) for i in range(24)}


def slices_of(rho: float, s: float, num_slices: dict[str, int], seed: int = 0) -> list[int]:
    """Annotated slices of each volume, as nnsparse_make_dataset chooses them."""
    cases = choose_volumes(list(num_slices), s, seed)
    return list(Budget(rho=rho).of_volumes({c: num_slices[c] for c in cases}).values())


@pytest.mark.parametrize(
    ("budget", "number", "counts", "rho"),
    [
        (5, 2, [3, 2], 0.25),  # 10 and 8 slices: 2.5 and 2 are rounded up, 3 and 2
        (4, 2, [2, 2], 0.222),  # 4 of 18
        (3, 2, [2, 1], 0.167),
        (2, 2, [1, 1], 0.1),  # a density that was tried
        (99, 2, [10, 8], 1.0),
    ],
)
def test_densest_annotation_worked_by_hand(
    budget: int, number: int, counts: list[int], rho: float
) -> None:
    volumes = Volumes({"a": 10, "b": 8})
    volumes.num_slices = {"a": 10, "b": 8}
    found = volumes.spend(budget, number, (0.1, 0.25))
    assert found.num_slices == sum(counts)
    assert found.rho == rho
    assert list(Budget(rho=found.rho).of_volumes(volumes.num_slices).values()) == counts


def test_every_choice_is_a_real_one() -> None:
    found = choices(grid_of_results(), 333, LENGTHS, seed=2)
    assert len(found) == 2 * len({c.spending.num_volumes for c in found})
    for choice in found:
        spending, annotation = choice.spending, choice.annotation
        assert (spending.rho, spending.s) == (annotation.rho, annotation.s)
        counts = slices_of(annotation.rho, annotation.s, LENGTHS, seed=2)
        assert (len(counts), sum(counts)) == (spending.num_volumes, spending.num_slices)
        # the next slice of any of the volumes would be too much
        denser = next(
            sum(more)
            for rho in np.linspace(annotation.rho, 1, 20_000)
            if (more := slices_of(rho, annotation.s, LENGTHS, seed=2)) != counts
        )
        assert spending.num_slices <= 333 < denser
        assert 0.1 / 1.05 <= annotation.rho <= 0.4 * 1.05
        assert num_annotated_volumes(0.25, 24) <= spending.num_volumes <= 24
    assert {0.25, 0.5, 1.0} & {choice.annotation.s for choice in found}


def test_the_best_choice_is_found() -> None:
    found = choices(grid_of_results(), 200, LENGTHS)
    best = found[0]
    assert best.annotation.selector == "random"
    assert best.spending.num_volumes == 24
    truth = 0.5 + 0.03 * np.log(best.annotation.rho) + 0.02
    assert best.low < truth < best.high
    assert best.high - best.low < 0.02
    assert sum(choice.probability for choice in found) == pytest.approx(1)


def test_budgets_out_of_range_have_no_choice() -> None:
    results, total = grid_of_results(), sum(LENGTHS.values())
    assert choices(results, total // 60, LENGTHS) == []
    assert choices(results, total // 2, LENGTHS) == []
    assert choices(results[:2], total // 10, LENGTHS) == []


@pytest.fixture
def grid(tmp_path: Path, make_base: BaseMaker) -> Grid:
    make_base(num_train=14, shapes=((40, 6, 5), (33, 6, 5), (57, 6, 5)))
    return write_grid(tmp_path, TEXT)


def commands(text: str) -> list[tuple[str, list[str]]]:
    """Each printed command, with what is said above it."""
    lines = [line.strip() for line in text.splitlines()]
    found = []
    for i, line in enumerate(lines):
        if line.startswith("nnsparse_make_dataset"):
            said = next(above for above in reversed(lines[:i]) if " slices in " in above)
            found.append((said, shlex.split(line)[1:]))
    return found


def check_commands(text: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Run what is printed: it annotates what is said. Returns what is said."""
    for said, arguments in commands(text):
        assert make_dataset([*arguments, "--dry_run"]) == 0
        slices, _, _, volumes = said.partition(": ")[2].split()[:4]
        report = capsys.readouterr().out
        assert f"budget:     {slices} of " in report
        assert f"in {volumes} of 10 training volumes" in report
    return [said for said, _ in commands(text)]


@pytest.mark.parametrize("budget", [4, 37, 61])
def test_without_results_the_paper_is_quoted(
    grid: Grid, budget: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(grid.file), "--budget", str(budget)]) == 0
    text = capsys.readouterr().out
    assert "arXiv 2412.08081" in text
    assert "Of ATLAS alone it says" in text
    # what is said of 2D is not said of all tasks
    assert 'across as many volumes as possible for 2D segmentation tasks"' in " ".join(text.split())
    flat, deep, like_atlas = check_commands(text, capsys)
    assert flat.startswith("2D: ")
    assert f" slices in {min(budget, 10)} of 10 volumes" in flat
    assert ("lower density than any in the paper" in flat) is (budget == 4)
    assert deep.startswith("3D: ")
    assert like_atlas.startswith("3D, if it is like ATLAS: ")
    facts = base_facts(grid, bases(grid)[0])
    # of 33 to 57 slices these densities annotate 2 or 3, and 7 to 11
    for rho, said in ((0.05, deep), (0.2, like_atlas)):
        costs = np.cumsum(slices_of(rho, 1.0, dict(facts.num_slices)))
        assert f" slices in {max(1, (costs <= budget).sum())} of 10 volumes" in said


def test_with_results(
    grid: Grid, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unused = [
        result(task="Tiny", key="a", kind="dense", rho=1.0),
        result(task="Tiny", key="b", kind="interpolated", interpolation="shape"),
        result(task="Tiny", key="c", scope="dataset"),
        result(task="Tiny", key="d", scope="dataset", s=0.5),
        result(task="Tiny", key="e", batched_IoU=None),
    ]
    monkeypatch.setattr(module, "read_results", lambda _: [*grid_of_results(), *unused])
    text = advice(grid, 61)
    assert "used: 36 of 41 trainings, densities 0.1 to 0.4, volume fractions 0.25 to 1" in text
    assert (
        "not used: 1 dense, 1 interpolated, 2 with scope dataset, 1 without a defined IoU" in text
    )
    assert "most likely best selector: random 100%, fixed 0%" in text
    best, deep, _ = check_commands(text, capsys)
    assert best.startswith(("best: ", "highest expected IoU: "))
    assert "of 10 volumes, selector random" in best
    assert deep.startswith("3D: ")  # of which there are no results


@pytest.mark.parametrize("noise", [0.0001, 0.2])
def test_what_cannot_be_told_apart_is_said(
    grid: Grid, monkeypatch: pytest.MonkeyPatch, noise: float
) -> None:
    results = [
        r
        for r in grid_of_results(noise)
        if r.variant.s == 1 and r.variant.value("rho") in (0.1, 0.2)
    ]
    monkeypatch.setattr(module, "read_results", lambda _: results)
    facts = base_facts(grid, bases(grid)[0])
    first, *others = choices(results, 61, facts.num_slices)
    assert first.behind == 0
    # two options, of which one is better where the other is not
    assert [first.probability] == pytest.approx([choice.behind for choice in others])
    text = advice(grid, 61)
    clear = noise < 0.01
    assert (first.probability > 0.8) is clear
    assert f"the best of 2 options with probability {first.probability:.0%}" in text
    assert ("    best: " in text) is clear
    assert ("most likely best selector: random" in text) is clear
    assert ("highest expected IoU: " in text) is not clear
    assert ("it cannot be told apart from any of the others" in text) is not clear
    assert ("selectors cannot be told apart: " in text) is not clear


def test_what_intervals_rest_on(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    results = grid_of_results()
    unknown = "from run to run is unknown"
    for number, said in ((36, "18 cells with 2 trainings"), (35, "18 cells with 1 to 2 trainings")):
        monkeypatch.setattr(module, "read_results", lambda _, n=number: results[:n])
        assert f"intervals rest on {said} each\n" in (text := advice(grid, 61))
        assert unknown not in text
    monkeypatch.setattr(module, "read_results", lambda _: results[::2])
    assert "intervals rest on 18 cells with 1 training each\n" in (text := advice(grid, 61))
    assert unknown in text


def test_commands_work_in_any_shell(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "export" not in advice(grid, 61)
    for name in ENV_NAMES:
        monkeypatch.delenv(name)
    lines = [line.strip() for line in advice(grid, 61).splitlines()]
    first, last = (lines.index(line) for line in export_lines(grid.paths.environment())[::2])
    assert first < last < next(i for i, x in enumerate(lines) if x.startswith("nnsparse_make"))


def test_a_budget_that_results_do_not_cover(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "read_results", lambda _: grid_of_results())
    facts = base_facts(grid, bases(grid)[0])
    low, high = (
        sum(slices_of(rho, s, dict(facts.num_slices))) for rho, s in ((0.1, 0.25), (0.4, 1.0))
    )
    text = advice(grid, 5)
    assert f"they cover budgets of {low} to {high} slices, not 5" in text
    assert "  2D: 5 slices in 5 of 10 volumes" in text


def test_more_than_there_is(grid: Grid) -> None:
    with pytest.raises(SparseError, match="slices, fewer than the budget 5000"):
        advice(grid, 5000)
    phantom = "  - phantom: {task: organ, shape: [200, 32, 32], num_train: 40}\n"
    text = grid.file.read_text("utf-8").replace("configurations:", f"{phantom}configurations:", 1)
    said = advice(write_grid(grid.file.parent, text), 5000)
    assert said.startswith("PhantomOrgan: up to 5000 of 7200 slices, in 36 training volumes")
    assert "slices, fewer than the budget 5000" in said


Truth = Callable[[float, float], float]
SHAPES = {
    **{name: (of.rho, of.s, of.selectors, of.repeats) for name, of in PRESETS.items()},
    "3x3x2": ((0.1, 0.2, 0.4), (0.25, 0.5, 1.0), ("fixed", "random"), 3),
}


def of_budget(rng: np.random.Generator) -> Truth:
    """A power law, which comes the nearer to its end the larger its exponent."""
    top, drop, exponent = rng.uniform(0.6, 0.9), rng.uniform(0.05, 0.35), rng.uniform(0.2, 1.2)
    return lambda rho, s: top - drop * (rho * s / 0.02) ** -exponent


def of_budget_and_volumes(rng: np.random.Generator) -> Truth:
    """More volumes are better, or worse, at the same budget."""
    budget, slope = of_budget(rng), rng.uniform(-0.02, 0.05)
    return lambda rho, s: budget(rho, s) + slope * np.log(s)


def of_each(rng: np.random.Generator) -> Truth:
    """Power laws of density and volume fraction."""
    top, drops = rng.uniform(0.6, 0.9), rng.uniform(0.03, 0.25, 2)
    c, e = rng.uniform(0.2, 1.0, 2)
    return lambda rho, s: top - drops[0] * (rho / 0.05) ** -c - drops[1] * (s / 0.125) ** -e


def exponential(rng: np.random.Generator) -> Truth:
    """A stretched exponential of the budget."""
    top, scale, power = rng.uniform(0.5, 0.9), rng.uniform(0.02, 0.15), rng.uniform(0.4, 0.8)
    return lambda rho, s: top * (1 - np.exp(-((rho * s / scale) ** power)))


def s_shaped(rng: np.random.Generator) -> Truth:
    """Exponentials of density and volume fraction, which first bend upwards."""
    top, drops = rng.uniform(0.6, 0.9), rng.uniform(0.05, 0.3, 2)
    a, b = rng.uniform(0.05, 0.4), rng.uniform(0.1, 0.6)
    return lambda rho, s: top - drops[0] * np.exp(-rho / a) - drops[1] * np.exp(-s / b)


def ceiling(rng: np.random.Generator) -> Truth:
    """Near the best that there can be."""
    top, drop, exponent = rng.uniform(0.9, 0.97), rng.uniform(0.01, 0.06), rng.uniform(0.4, 1.2)
    return lambda rho, s: top - drop * (rho * s / 0.02) ** -exponent


def logarithmic(rng: np.random.Generator) -> Truth:
    """No end in sight."""
    a, b = rng.uniform(0, 0.06, 2)
    return lambda rho, s: 0.65 + a * np.log(rho) + b * np.log(s)


def threshold(rng: np.random.Generator) -> Truth:
    """Low densities do not pay."""
    drop, middle, width = rng.uniform(0.1, 0.3), rng.uniform(0.05, 0.12), rng.uniform(0.3, 0.6)
    slope = rng.uniform(0.03, 0.08)
    return lambda rho, s: 0.7 - drop / (1 + (rho / middle) ** (1 / width)) + slope * np.log(s)


def nothing(rng: np.random.Generator) -> Truth:
    """Neither density nor volume fraction matters."""
    level = rng.uniform(0.3, 0.9)
    return lambda rho, s: level + 0 * rho * s


TRUTHS = (
    of_budget,
    of_budget_and_volumes,
    of_each,
    exponential,
    s_shaped,
    ceiling,
    logarithmic,
    threshold,
    nothing,
)


def covered(shape: str, kind: Callable[[np.random.Generator], Truth], seed: int) -> list[float]:
    """Simulate a grid; share of the choices whose interval holds the truth, and the best one's."""
    rng = np.random.default_rng([seed, list(SHAPES).index(shape), TRUTHS.index(kind)])
    rhos, fractions, selectors, repeats = SHAPES[shape]
    truth, noise = kind(rng), np.exp(rng.uniform(np.log(0.003), np.log(0.03)))
    offsets = rng.normal(0, rng.choice([0, 0.005, 0.02]), len(selectors))
    slopes = rng.normal(0, rng.choice([0, 0, 0.007]), len(selectors))
    lengths = {
        f"{i:02d}": int(n) for i, n in enumerate(rng.integers(40, 120, rng.integers(12, 60)))
    }
    volumes = Volumes(lengths)

    def score(rho: float, s: float, selector: str) -> float:
        actual, k = volumes.actual(rho, s, selector), selectors.index(selector)
        return truth(actual.rho, actual.s) + offsets[k] + slopes[k] * np.log(actual.rho / 0.2)

    results = [
        result(rho=rho, s=s, selector=k, batched_IoU=score(rho, s, k) + rng.normal(0, noise))
        for rho in rhos
        for s in fractions
        for k in selectors
        for _ in range(repeats)
    ]
    ends = [slices_of(rhos[i], fractions[i], lengths) for i in (0, -1)]
    budget = round(np.exp(rng.uniform(*(np.log(sum(end)) for end in ends))))
    held = [
        c.low <= score(c.annotation.rho, c.annotation.s, c.annotation.selector) <= c.high
        for c in choices(results, budget, lengths)
    ]
    return [float(np.mean(held)), float(held[0])]


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_intervals_cover_the_truth(shape: str) -> None:
    """NNSPARSE_GRIDS=24 simulates so many grids of each kind, and -rP shows the table."""
    number = int(os.environ.get("NNSPARSE_GRIDS", "2" if shape == "paper" else "4"))
    found = np.array([[covered(shape, kind, i) for i in range(number)] for kind in TRUTHS])
    num_grids = number * len(TRUTHS)
    print(f"{shape}, {num_grids} grids: intervals that hold the truth, of all choices and the best")
    for kind, of_kind in zip(TRUTHS, found, strict=True):
        print("  {:22} {:.3f} {:.3f}".format(kind.__name__, *of_kind.mean(axis=0)))
    means = found.mean(axis=(0, 1))
    print("  {:22} {:.3f} {:.3f}".format("all", *means))
    # choices of one grid are right or wrong together
    error = np.sqrt(0.9 * 0.1 / num_grids)
    assert np.all(means > 0.85 - 2 * error)
    assert np.all(means < 0.95 + 2 * error)
