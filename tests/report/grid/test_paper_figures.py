import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from grid_results import result
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from nnunet_sparse.grid.results import Result
from nnunet_sparse.report.grid.budget_plots import budget_plots, cell_plots, cost_plots
from nnunet_sparse.report.grid.panels import AskedTraining, panels
from nnunet_sparse.report.grid.paper_figures import (
    drop_notes,
    drop_plots,
    interpolation_lines,
    interpolation_plots,
    selector_deviations,
    selector_plots,
)
from nnunet_sparse.report.grid.plot import Plot, arranged

DENSE = {"kind": "dense", "rho": 1.0}
TITLE = "Hippocampus, 2d"
FILLED = {"kind": "interpolated", "interpolation": "shape"}


def drawn(plot: Plot) -> Any:
    """Axes of a plot, drawn so that nothing is left to be computed."""
    figure: Figure = arranged([plot])
    figure.draw_without_rendering()
    return figure.axes[0]


def texts(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def legend(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def asked(*results: Result) -> list[AskedTraining]:
    return [AskedTraining.of_result(r) for r in results]


def test_drop_is_the_mean_over_tasks() -> None:
    results = [
        result(iou - drop, task=task, rho=rho)
        for task, iou in (("A", 0.8), ("B", 0.6))
        for rho, drop in ((0.1, 0.2 if task == "A" else 0.1), (0.4, -0.05))
        if (task, rho) != ("B", 0.4)
    ]
    results += [result(iou, task=task, **DENSE) for task, iou in (("A", 0.8), ("B", 0.6))]
    (plot,) = drop_plots(panels(results, asked(*results, result(task="B", rho=0.4))))
    assert plot.title == "2D: batched IoU minus dense, 2 tasks"
    # a mean over one of the tasks would mislead
    assert texts(drawn(plot)) == ["-0.150", "missing"]
    # nor is there one where a task does not have the density
    shown = panels(results)
    assert texts(drawn(drop_plots(shown)[0])) == ["-0.150", "N/A"]
    assert drop_notes(shown) == ["N/A (not part of the experiment): B, 2d, rho 0.4 (s 1)"]
    assert drop_plots(panels([result()])) == []


@pytest.mark.parametrize("gain", [-0.2, 0.1])
def test_no_difference_has_the_colour_in_the_middle(gain: float) -> None:
    results = [result(0.5 + gain, rho=0.1), result(0.5, rho=0.2), result(0.5, **DENSE)]
    axes = drawn(drop_plots(panels(results))[0])
    (image,) = axes.images
    assert (image.norm.vmin, image.norm.vmax) == pytest.approx((-abs(gain), abs(gain)))
    red, _, blue = to_rgb(image.to_rgba(gain))
    assert (blue > red) is (gain > 0)
    assert np.ptp(to_rgb(image.to_rgba(0.0))) < 0.02


def test_a_drop_of_nothing_can_be_drawn() -> None:
    assert texts(drawn(drop_plots(panels([result(), result(**DENSE)]))[0])) == ["+0.000"]
    shown = panels([], asked(result(), result(**DENSE)))
    assert texts(drawn(drop_plots(shown)[0])) == ["missing"]


def test_budgets_that_are_missing_are_in_the_legend() -> None:
    cells = asked(*(result(rho=r, s=s) for r in (0.1, 0.2, 0.4) for s in (0.5, 1)), result(**DENSE))
    done = [
        result(0.6, rho=rho, num_slices=round(1000 * rho), repeat=k)
        for rho in (0.1, 0.4)
        for k in (0, 1)
    ]
    shown = panels(done, cells)
    left, right = budget_plots(shown)
    axes = drawn(left)
    assert legend(axes) == ["s = 0.5: missing", "s = 1", "dense: missing"]
    # the line has a gap where a density is missing
    line = axes.lines[3].get_xydata()
    assert line[::2].tolist() == [[100, 0.6], [400, 0.6]]
    assert np.isnan(line[1]).all()
    # budgets of 5, 10, 20 and 40 %: only the two of s = 1 and 0.1, 0.4 are done
    axes = drawn(right)
    names = ["5 %: missing", "10 %", "20 %: missing", "40 %", "dense: missing"]
    assert legend(axes) == names
    of_ten = axes.lines[1].get_xydata()
    assert of_ten[:, 0].tolist() == [0.1, 0.2]
    assert of_ten[0, 1] == 0.6
    assert np.isnan(of_ten[1, 1])
    axes = drawn(cell_plots(shown)[0])
    assert "dashed: missing" in axes.get_xlabel()
    assert texts(axes) == [".60", ".60"]
    assert len(axes.collections) == 4 + 1


def test_cells_of_one_budget_are_joined() -> None:
    results = [
        result(iou, rho=rho, s=s, selector=selector)
        for rho, s, iou in ((0.1, 1, 0.6), (0.2, 0.5, 0.5), (0.4, 0.25, 0.3), (0.3, 0.5, 0.4))
        for selector, iou in (("fixed", iou + 0.1), ("random", iou - 0.1))
    ]
    axes = drawn(budget_plots(panels(results))[1])
    joined, alone = (line.get_xydata() for line in axes.lines)
    assert joined == pytest.approx(np.array([[0.1, 0.6], [0.2, 0.5], [0.4, 0.3]]))
    assert alone == pytest.approx(np.array([[0.3, 0.4]]))
    assert legend(axes) == ["10 %", "15 %"]
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert ticks == ["0.1", "0.2", "0.3", "0.4"]


def test_selectors_have_markers_and_fractions_lines() -> None:
    results = [
        result(iou, rho=rho, s=s, selector=selector, num_slices=round(1000 * rho * s))
        for selector, iou in (("fixed", 0.5), ("random", 0.7))
        for rho in (0.1, 0.2)
        for s in (0.5, 1)
    ]
    axes = drawn(budget_plots(panels(results))[0])
    assert legend(axes) == ["s = 0.5", "s = 1", "fixed", "random"]
    fixed, random, line = axes.lines[:3]
    assert (fixed.get_marker(), random.get_marker(), line.get_marker()) == ("o", "s", "None")
    assert fixed.get_color() == random.get_color() == line.get_color()
    assert line.get_xydata().tolist() == [[50, 0.6], [100, 0.6]]
    handles = {
        text: h.get_marker() for h, text in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    assert (handles["fixed"], handles["random"]) == ("o", "s")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["50", "100", "200"]


def test_budgets_close_to_each_other_share_a_number() -> None:
    results = [result(rho=k / 10, num_slices=n) for k, n in enumerate((100, 103, 400, 1000), 1)]
    axes = drawn(budget_plots(panels(results))[0])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["100", "400", "1000"]
    assert axes.get_xticks(minor=True).tolist() == [103]


def test_a_panel_in_which_nothing_is_done() -> None:
    shown = panels([], asked(result(), result(**FILLED), result(selector="ual")))
    left, right = budget_plots(shown)
    assert texts(drawn(left)) == ["missing"]
    assert texts(drawn(right)) == ["missing"]
    assert texts(drawn(cell_plots(shown)[0])) == []
    assert texts(drawn(interpolation_plots(shown)[0])) == ["missing"]
    assert texts(drawn(selector_plots(shown)[0])) == ["missing", "missing"]


def test_slices_that_are_not_known_are_not_drawn() -> None:
    axes = drawn(budget_plots(panels([result(num_slices=0), result(rho=0.4)]))[0])
    points = axes.lines[0].get_xydata()
    assert np.isnan(points[0, 0])
    assert points[1].tolist() == [200, 0.5]


def test_an_axis_without_any_known_number_of_slices() -> None:
    axes = drawn(budget_plots(panels([result(num_slices=0)]))[0])
    assert axes.get_xscale() == "linear"


def test_costs_that_are_not_known_are_not_drawn() -> None:
    costs = {0.2: 3.0}
    shown = panels([result(), result(rho=0.4)])
    (plot,) = cost_plots(shown, lambda r: costs.get(r.variant.rho), "hours")
    axes = drawn(plot)
    assert axes.lines[0].get_xydata()[0].tolist() == [3, 0.5]
    assert np.isnan(axes.lines[0].get_xydata()[1, 0])
    assert axes.get_xlabel() == "hours"


def test_the_same_slices_count_once() -> None:
    results = [
        result(0.3, repeat=0),
        result(0.5, repeat=1),
        result(0.9, repeat=2),  # without counterpart
        *(
            result(0.6, repeat=k, **{**FILLED, "interpolation": m})
            for m in ("nearest", "shape")
            for k in (0, 1)
        ),
    ]
    assert interpolation_lines(panels(results)[0]) == {
        "without, s = 1": {0.2: [0.3, 0.5]},
        "nearest, s = 1": {0.2: [0.6, 0.6]},
        "shape, s = 1": {0.2: [0.6, 0.6]},
    }


def test_one_training_has_no_deviation() -> None:
    axes = drawn(interpolation_plots(panels([result(0.3), result(0.4, **FILLED)]))[0])
    bars = [segment for c in axes.containers for segment in c[2][0].get_segments()]
    assert all(np.isnan(segment).any() or len(segment) == 0 for segment in bars)
    assert legend(axes) == ["without, s = 1", "shape, s = 1"]


def test_a_long_legend_takes_no_room_from_the_lines() -> None:
    fractions = (1 / 8, 1 / 4, 1 / 2, 1)
    results = [result(0.3, s=s) for s in fractions] + [
        result(0.4, s=s, **FILLED | {"interpolation": method})
        for s in fractions
        for method in ("shape", "nearest")
    ]
    axes = drawn(interpolation_plots(panels(results))[0])
    assert len(legend(axes)) == 12
    whole, label = axes.figure.bbox, axes.yaxis.label.get_window_extent()
    assert whole.y0 <= label.y0
    assert label.y1 <= whole.y1
    assert axes.get_window_extent().height > label.height


def test_deviations_of_selectors_from_the_mean_of_their_cell() -> None:
    results = [
        result(0.4, selector="random", repeat=0),
        result(0.6, selector="random", repeat=1),
        result(0.8, selector="ual"),
        result(0.9, selector="random", rho=0.4),  # alone in its cell
        result(0.3, selector="random", s=0.5),
        result(0.2, selector="ual", s=0.5),
    ]
    panel = panels(results)[0]
    # the means of the cells are (0.5 + 0.8) / 2 and (0.3 + 0.2) / 2
    found = {name: sorted(values) for name, values in selector_deviations(panel).items()}
    assert found == {"random": pytest.approx([-0.15, 0.05]), "ual": pytest.approx([-0.05, 0.15])}
    # those of repeat 0 are (0.4 + 0.8) / 2 and (0.3 + 0.2) / 2; repeat 1 has one selector
    found = selector_deviations(panel, of_trainings=True)
    found = {name: sorted(values) for name, values in found.items()}
    assert found == {"random": pytest.approx([-0.2, 0.05]), "ual": pytest.approx([-0.05, 0.2])}
    scopes = panels([result(scope="volume"), result(scope="dataset")])[0]
    assert list(selector_deviations(scopes)) == ["fixed (dataset)", "fixed (volume)"]


def test_figure_5_says_what_it_shows() -> None:
    shown = panels([result(selector="fixed"), result(selector="random")])
    (cells,), (trainings,) = selector_plots(shown), selector_plots(shown, of_trainings=True)
    assert drawn(cells).get_ylabel() == "batched IoU minus mean of cell"
    assert drawn(trainings).get_ylabel() == "batched IoU minus mean of repeat"


def test_a_selector_alone() -> None:
    (plot,) = selector_plots(panels([result()]))
    assert texts(drawn(plot)) == ["no other selector"]


def test_figure_5_leaves_out_who_has_one_selector() -> None:
    several = [result(task="A"), result(task="A", selector="random")]
    assert [plot.task for plot in selector_plots(panels([*several, result(task="B")]))] == ["A"]


def test_parts_of_a_figure_are_beside_each_other() -> None:
    plots = [Plot(name, lambda axes: axes.plot([1]), "task", "2d") for name in "abc"]
    axes = arranged(plots).axes
    assert [one.get_title() for one in axes] == ["a", "b", "c", ""]
    assert [one.axison for one in axes] == [True, True, True, False]
    assert math.isclose(arranged(plots).get_figwidth(), 2 * arranged(plots[:1]).get_figwidth())


def test_numbers_of_slices_have_plots_of_their_own() -> None:
    amounts = [{"rho": 0.1}, {"rho": 0.2}, {"slices_per_volume": 3}, {"budget": 20}, {"budget": 40}]
    results = [
        result(0.3 + k / 10, **amount, s=s, **changes)
        for k, amount in enumerate(amounts)
        for s in (0.5, 1.0)
        for changes in ({}, FILLED)
    ]
    shown = panels([*results, result(0.9, rho=1.0, kind="dense")])
    (drop,) = drop_plots(shown)
    ticks = [label.get_text() for label in drawn(drop).get_xticklabels()]
    assert ticks == ["0.1", "0.2", "3 each", "20 in all", "40 in all"]
    plots = budget_plots(shown)
    # a line joins amounts of one kind
    line = drawn(plots[0]).lines[1].get_xydata()
    assert np.isnan(line).all(axis=1).tolist() == [False, False, True, False, True, False, False]
    assert [plot.title for plot in plots] == [TITLE, *[f"{TITLE}: equal budgets"] * 3]
    axes = [drawn(plot) for plot in plots[1:]]
    labels = ["density $\\rho$", "slices of each volume", "volume fraction $s$"]
    assert [one.get_xlabel() for one in axes] == labels
    budgets = [["5 %", "10 %", "20 %"], ["1.5", "3"], ["20", "40"]]
    assert [legend(one) for one in axes] == [[*names, "dense"] for names in budgets]
    maps = cell_plots(shown)
    assert [plot.title for plot in maps] == [f"{TITLE}: each cell"] * 3
    labels = [drawn(plot).get_xlabel().partition(" (")[0] for plot in maps]
    assert labels == ["density $\\rho$", "slices of each volume", "slices in all"]
    assert texts(drawn(maps[2])) == [".60", ".60", ".70", ".70"]
    assert len(interpolation_plots(shown)) == 3
    assert interpolation_lines(shown[0], "budget")["shape, s = 1"] == {20: [0.6], 40: [0.7]}


def of_3d(task: str, *ious: float, dense: float = 0.8, **changes: Any) -> list[Result]:
    """A panel with densities 0.05, 0.1 ... of these scores, and its dense reference."""
    way = {"task": task, "configuration": "3d_fullres", **changes}
    cells = [result(iou, rho=rho, **way) for rho, iou in zip((0.05, 0.1), ious, strict=True)]
    return [*cells, result(dense, **way, **DENSE)]


def test_points_with_collapsed_trainings_are_left_out_and_named() -> None:
    results = [*of_3d("ATLAS", 0.0, 0.5), *of_3d("LiTS17", 0.6, 0.7)]
    # a second repeat of the same cell did not collapse
    results.append(result(0.4, task="ATLAS", configuration="3d_fullres", rho=0.05, repeat=1))
    shown = panels(results)
    (note,) = drop_notes(shown)
    assert note == (
        "collapsed (no voxel of the target found in any test case), left out: "
        "ATLAS, 3d_fullres, rho 0.05 (s 1)"
    )
    axes = drawn(drop_plots(shown)[0])
    # ((0.5 - 0.8) + (0.7 - 0.8)) / 2
    assert texts(axes) == ["collapsed", "-0.200"]
    assert axes.get_xlabel().replace("\n", " ").endswith(note)
    # (((0 + 0.4) / 2 - 0.8) + (0.6 - 0.8)) / 2
    axes = drawn(drop_plots(shown, with_collapsed=True)[0])
    assert texts(axes) == ["-0.400", "-0.200"]
    assert "in the means: ATLAS, 3d_fullres, rho 0.05 (s 1)" in drop_notes(shown, True)[0]


def test_nothing_can_be_compared_with_a_collapsed_reference() -> None:
    shown = panels([*of_3d("ATLAS", 0.1, 0.2, dense=0.0), *of_3d("LiTS17", 0.6, 0.7)])
    assert texts(drawn(drop_plots(shown)[0])) == ["collapsed", "collapsed"]
    assert drop_notes(shown)[0].endswith("left out: ATLAS, 3d_fullres, dense")


def test_what_the_experiment_excludes_is_not_missing() -> None:
    results = [*of_3d("ATLAS", 0.4, 0.5)[1:], *of_3d("LiTS17", 0.6, 0.7)]
    excluded = [result(rho=0.05, task="ATLAS", configuration="3d_fullres")]
    shown = panels(results, asked(*results), asked(*excluded))
    assert texts(drawn(drop_plots(shown)[0])) == ["N/A", "-0.200"]
    assert drop_notes(shown) == [
        "N/A (not part of the experiment): ATLAS, 3d_fullres, rho 0.05 (s 1)"
    ]
    # one of its selectors is still there
    rest = result(0.6, rho=0.05, task="ATLAS", configuration="3d_fullres", selector="random")
    shown = panels([*results, rest], asked(*results, rest), asked(*excluded))
    assert texts(drawn(drop_plots(shown)[0])) == ["-0.200", "-0.200"]
    assert drop_notes(shown) == []


def test_points_that_no_task_has_are_not_missing() -> None:
    results = [result(0.5, rho=0.1, s=1.0), result(0.5, rho=0.4, s=0.5), result(**DENSE)]
    shown = panels(results, asked(*results))
    # by fractions 0.5 and 1, densities 0.1 and 0.4
    assert texts(drawn(drop_plots(shown)[0])) == ["N/A", "+0.000", "+0.000", "N/A"]
    assert drop_notes(shown) == []


def test_interpolation_that_is_excluded_is_not_missing() -> None:
    results = [result(0.5, rho=rho) for rho in (0.1, 0.8)]
    filled = [result(0.6, rho=rho, **FILLED) for rho in (0.1, 0.4, 0.8)]
    shown = panels([*results, filled[0]], asked(*results, *filled[:2]), asked(filled[2]))
    axes = drawn(interpolation_plots(shown)[0])
    assert texts(axes) == ["missing", "N/A"]
    assert [text.get_position()[0] for text in axes.texts] == [0.4, 0.8]


def test_checks_are_no_part_of_the_mean_over_tasks() -> None:
    check = of_3d("ATLAS", 0.8, 0.8, trainer="Check")
    results = [*of_3d("ATLAS", 0.4, 0.5), *of_3d("LiTS17", 0.6, 0.7), *check]
    wanted = [*asked(*results[:6]), *(replace(each, is_extra=True) for each in asked(*check))]
    shown = panels(results, wanted)
    assert shown[-1].title == "ATLAS, 3d_fullres, Check (extra)"
    (plot,) = drop_plots(shown)
    assert plot.title == "3D: batched IoU minus dense, 2 tasks"
    assert texts(drawn(plot)) == ["-0.300", "-0.200"]
    assert drop_notes(shown) == ["no part of the means: ATLAS, 3d_fullres, Check (extra)"]
    assert len(budget_plots(shown)) == 2 * 3
