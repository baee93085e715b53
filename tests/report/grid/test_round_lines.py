import pytest
from grid_results import counts_of
from round_results import in_round, only_lines, runs

from nnunet_sparse.report.grid.panels import panels
from nnunet_sparse.report.grid.round_lines import (
    area_difference,
    areas,
    line_name,
    mean_score,
    round_difference,
    round_lines,
)
from nnunet_sparse.selection.variant import Variant


def test_a_line_begins_with_the_round_that_all_have_in_common() -> None:
    lines = only_lines(runs({"random": lambda n, _: 0.1 * n, "clasp_pe": lambda n, _: 0.2 * n}))
    assert lines.names == ["random", "clasp_pe"]  # without rounds=2
    assert lines.num_rounds == 3
    for name in lines.names:
        (one, *_) = lines.runs(name)
        assert one["round"].tolist() == [1, 2, 3]
        assert one["num_slices"].tolist() == [100, 200, 300]
        assert one["batched_IoU"].iloc[0] == 0.3
    parameters = {"pooling": "top", "rounds": 2}
    assert line_name(Variant(0.1, selector="clasp_pe", parameters=parameters)) == (
        "clasp_pe pooling=top"
    )


def test_areas_worked_by_hand() -> None:
    results = runs({"random": lambda n, k: 0.1 * n + 0.3 + 0.1 * k})
    # (0.3 + 2 * 0.5 + 0.6) / 4 of the first repeat
    assert areas(only_lines(results), "random") == pytest.approx([0.475, 0.55, 0.625])
    # the second step is three times as long: (0.3 + 0.5) / 2 / 4 + 3 (0.5 + 0.6) / 2 / 4
    wide = [in_round(0.3, 1, ""), in_round(0.5, 2, "random")]
    wide.append(in_round(0.6, 3, "random", num_slices=500))
    assert areas(only_lines(wide), "random") == pytest.approx([0.1 + 0.4125])


def test_runs_that_lack_a_round_have_no_area() -> None:
    results = runs({"random": lambda *_: 0.5, "entropy": lambda *_: 0.6})
    (last,) = (
        r
        for r in results
        if r.variant.selector == "entropy" and r.repeat == 2 and r.num_slices == 300
    )
    lines = only_lines([r for r in results if r is not last])
    assert (len(areas(lines, "random")), len(areas(lines, "entropy"))) == (3, 2)
    found = area_difference([lines], "entropy", "random")
    assert found is not None
    # two rounds of the two repeats that both have completed
    assert (found.num_pairs, found.num_cells) == (4, 2)


def test_the_difference_of_areas_is_that_of_the_pairs() -> None:
    noise = [0.0, 0.02, -0.02]
    scores = {
        "random": lambda _, k: 0.4 + noise[k],
        "clasp_pe": lambda n, k: 0.4 + 0.1 * (n - 1) + noise[k],
    }
    lines = only_lines(runs(scores))
    both = [areas(lines, name) for name in ("clasp_pe", "random")]
    gains = [one - other for one, other in zip(*both, strict=True)]
    found = area_difference([lines], "clasp_pe", "random")
    assert found is not None
    # 0.1 after 200 slices, which count half, and 0.2 after 300, which count a quarter
    assert found.mean == pytest.approx(0.1) == pytest.approx(sum(gains) / 3)
    # what repeats have in common is none of the difference
    assert found.low == pytest.approx(found.mean)
    assert found.high == pytest.approx(found.mean)
    assert found.verdict == "supported"
    opposite = area_difference([lines], "random", "clasp_pe")
    assert opposite is not None
    assert opposite.verdict == "not supported"


def test_the_spread_of_repeats_widens_the_interval() -> None:
    gain = [0.0, 0.1, 0.2]
    lines = only_lines(runs({"random": lambda *_: 0.4, "entropy": lambda _, k: 0.4 + gain[k]}))
    found = area_difference([lines], "entropy", "random")
    assert found is not None
    # areas differ by 0, 0.075 and 0.15: standard error 0.075 / sqrt(3), 2 degrees of freedom
    assert found.mean == pytest.approx(0.075)
    assert found.high - found.mean == pytest.approx(4.302653 * 0.075 / 3**0.5, rel=1e-4)
    assert found.verdict == "undecided"


def test_settings_count_alike() -> None:
    short = runs({"random": lambda *_: 0.4, "entropy": lambda *_: 0.5}, rounds=2)
    long = [
        in_round(0.4 + 0.3 * (name == "entropy") * (n > 1), n, name, task="Other", repeat=k)
        for k in range(3)
        for name, n in [("", 1), *((s, n) for s in ("random", "entropy") for n in (2, 3))]
    ]
    every = round_lines(panels([*short, *long]))
    assert [lines.num_rounds for lines in every] == [2, 3]
    found = area_difference(every, "entropy", "random")
    assert found is not None
    # half of 0.1 in the one, 0.3 (1/2 + 1/4) in the other
    assert found.mean == pytest.approx((0.05 + 0.225) / 2)


def test_scores_and_gains_after_a_round() -> None:
    lines = only_lines(runs({"random": lambda *_: 0.4, "entropy": lambda *_: 0.5}))
    gain = round_difference(lines, "entropy", "random", 2)
    assert gain is not None
    assert (gain.mean, gain.num_pairs) == (pytest.approx(0.1), 3)
    score = mean_score(lines.scored[lines.scored["round"] == 1])
    assert score is not None
    assert score.mean == pytest.approx(0.3)
    assert mean_score(lines.scored.iloc[:0]) is None


def test_no_score_lies_below_0() -> None:
    results = [in_round(iou, 1, "", repeat=k) for k, iou in enumerate((0.0, 0.4))]
    results += [in_round(0.3, 2, "random", repeat=k) for k in range(2)]
    scored = only_lines(results).scored
    found = mean_score(scored[scored["round"] == 1])
    assert found is not None
    assert (found.mean, found.low, found.high) == (pytest.approx(0.2), 0, 1)


def test_other_test_cases_are_not_compared() -> None:
    results = runs({"random": lambda *_: 0.4, "entropy": lambda *_: 0.5})
    other = [
        in_round(0.4, n, "entropy", repeat=k, counts=counts_of(0.4, 999))
        for n in (2, 3)
        for k in range(3)
    ]
    kept = [r for r in results if r.variant.selector != "entropy"]
    assert area_difference([only_lines([*kept, *other])], "entropy", "random") is None
