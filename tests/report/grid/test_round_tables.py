import pytest
from grid_results import result
from round_results import runs

from nnunet_sparse.report.grid.panels import AskedTraining, panels
from nnunet_sparse.report.grid.plot import arranged
from nnunet_sparse.report.grid.round_lines import RoundLines, round_lines
from nnunet_sparse.report.grid.round_plots import penalty_plots, round_plots
from nnunet_sparse.report.grid.round_tables import round_findings, round_tables
from nnunet_sparse.report.tables import Table

SCORES = {"random": lambda *_: 0.4, "entropy": lambda n, k: 0.4 + 0.05 * n + 0.001 * k}


@pytest.fixture
def half_done() -> list[RoundLines]:
    """Both selectors in two repeats; the last round of one is not done in any."""
    results = runs(SCORES, repeats=2)
    asked = [AskedTraining.of_result(each) for each in results]
    done = [r for r in results if r.variant.selector != "entropy" or r.num_slices < 300]
    return round_lines(panels([*done, result(0.8, rho=1.0, selector="fixed", kind="dense")], asked))


def cells(table: Table) -> dict[str, dict[str, str]]:
    return {row[1]: dict(zip(table.header, row, strict=True)) for row in table.rows}


def test_tables_of_what_is_done(half_done: list[RoundLines]) -> None:
    scores, areas, penalties = round_tables(half_done, {})
    random, entropy = cells(scores)["random"], cells(scores)["entropy"]
    assert random["slices"] == "100, 200, 300"
    assert [random[f"round {k}"] for k in (1, 2, 3)] == ["0.300 ± 0.000"] + ["0.400 ± 0.000"] * 2
    assert (entropy["slices"], entropy["round 3"]) == ("100, 200, ?", "")
    assert cells(areas)["random"]["area"] == "0.375 ± 0.000"
    assert cells(areas)["entropy"]["area"] == ""
    assert cells(areas)["entropy"]["difference of area"] == ""
    # after the one round that both have gone through
    assert penalties.rows == (
        ("random", "", "0.00"),
        ("entropy", "1.00", ""),
        ("is beaten, mean", "1.00", "0.00"),
    )


def test_tables_of_everything() -> None:
    every = round_lines(panels(runs(SCORES, repeats=2)))
    _, areas, _ = round_tables(every, {})
    row = cells(areas)["entropy"]
    # 0.1 (and 0.0005 on average) after 200 slices, which count half, 0.15 after 300
    assert row["difference of area"] == "+0.088"
    assert (row["compared with"], row["better"]) == ("random", "supported")
    ((claim, task, found),) = round_findings(every)
    assert claim.startswith("entropy is better than random in rounds")
    assert task == "all"
    assert found is not None
    assert found.mean == pytest.approx(0.1 / 2 + 0.15 / 4 + 0.0005 * 3 / 4, abs=1e-3)


def test_what_is_missing_is_a_finding_without_verdict(half_done: list[RoundLines]) -> None:
    ((_, _, found),) = round_findings(half_done)
    assert found is None


def test_no_rounds_no_tables() -> None:
    assert round_tables([], {}) == []
    assert round_findings([]) == []
    assert penalty_plots([]) == []


def test_figures_are_drawn_of_what_is_done(half_done: list[RoundLines]) -> None:
    plots = [*round_plots(half_done), *penalty_plots(half_done)]
    figure = arranged(plots)
    scores, gains, matrix = figure.axes[:3]
    assert {text.get_text() for text in scores.get_legend().get_texts()} == {
        *("dense", "random", "entropy"),
    }
    assert gains.get_ylabel() == "IoU minus random (95 % interval)"
    assert [label.get_text() for label in matrix.get_yticklabels()] == ["random", "entropy"]


def test_a_line_of_which_nothing_is_done() -> None:
    results = runs(SCORES, repeats=1)
    asked = [AskedTraining.of_result(each) for each in results]
    done = [r for r in results if r.variant.selector == "random"]
    (scores, gains) = arranged(round_plots(round_lines(panels(done, asked)))).axes
    assert "entropy: missing" in [text.get_text() for text in scores.get_legend().get_texts()]
    assert [text.get_text() for text in gains.get_legend().get_texts()] == ["entropy: missing"]
