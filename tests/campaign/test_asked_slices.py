from dataclasses import replace
from pathlib import Path

import pytest
from campaign.conftest import CampaignWriter
from hypothesis import given
from hypothesis import strategies as st

from nnunet_sparse.campaign.asked_slices import (
    check_variant,
    choose_round,
    read_weights,
    weighted_counts,
)
from nnunet_sparse.selection.variant import Variant
from nnunet_sparse.system.errors import SparseError

EQUAL = {"a": 1.0, "b": 1.0}


def test_what_is_asked_for_or_annotated_is_not_asked_for_again(
    write_campaign: CampaignWriter,
) -> None:
    campaign = write_campaign({"a": (0, 2), "b": (3,)})  # of 4 slices each
    asking, _ = choose_round(campaign, Variant(None, 1.0, "random", budget=4), {"a": {3}}, None, 1)
    assert asking.slices == {"a": (1,), "b": (0, 1, 2)}


@pytest.mark.parametrize("scope", ["volume", "dataset"])
def test_more_than_is_left(write_campaign: CampaignWriter, scope: str) -> None:
    campaign = write_campaign({"a": (0, 2), "b": (3,)})
    with pytest.raises(SparseError, match=r"budget is 6 slices, the 2 volumes .* have 5"):
        choose_round(campaign, Variant(None, 1.0, "random", scope=scope, budget=6), {}, None, 1)


def test_everything_is_asked_for(write_campaign: CampaignWriter) -> None:
    with pytest.raises(SparseError, match="every slice of these volumes is asked for already"):
        choose_round(write_campaign({"a": (0, 1, 2, 3)}), Variant(0.1, 1.0, "random"), {}, None, 1)


def test_shares_count_the_whole_volume(write_campaign: CampaignWriter) -> None:
    campaign = write_campaign({"a": (0,), "b": (0, 1, 2)})
    asking, _ = choose_round(campaign, Variant(0.5, 1.0, "fixed"), {}, None, 1)
    assert {case_id: len(slices) for case_id, slices in asking.slices.items()} == {"a": 2, "b": 1}


def test_rounds_of_one_seed_differ(write_campaign: CampaignWriter) -> None:
    campaign = write_campaign({f"c{i}": (0,) for i in range(30)})
    first, _ = choose_round(campaign, Variant(0.25, 1.0, "random"), {}, None, 1)
    second, _ = choose_round(campaign.with_round(first), Variant(0.25, 1.0, "random"), {}, None, 1)
    same = sum(first.slices[c] == second.slices[c] for c in first.slices)
    assert same == 0


def test_the_least_number_counts_what_is_asked_for(write_campaign: CampaignWriter) -> None:
    campaign = write_campaign({"a": (0, 1), "b": ()})
    variant = Variant(None, 1.0, "random", scope="dataset", budget=2, min_per_volume=2)
    assert list(choose_round(campaign, variant, {}, None, 1)[0].slices) == ["b"]


@pytest.mark.parametrize(
    ("total", "demands", "expected"),
    [
        (4, {"a": 3.0, "b": 1.0}, {"a": 3, "b": 1}),
        (4, {"a": 0.0, "b": 1.0}, {"a": 0, "b": 4}),
        (8, {"a": 9.0, "b": 1.0}, {"a": 5, "b": 3}),  # a has no more
        (3, {"a": 2.0, "b": 1.5}, {"a": 2, "b": 1}),  # 12/7 and 9/7
        (3, {"a": 1.0, "b": 1.0}, {"a": 2, "b": 1}),
    ],
)
def test_weighted_counts(total: int, demands: dict[str, float], expected: dict[str, int]) -> None:
    assert weighted_counts(total, demands, {"a": 5, "b": 5}) == expected


@given(
    st.integers(1, 60),
    st.lists(st.tuples(st.floats(0.1, 9), st.integers(0, 9)), min_size=1, max_size=6),
)
def test_weights_keep_the_sum(total: int, volumes: list[tuple[float, int]]) -> None:
    demands = {str(i): demand for i, (demand, _) in enumerate(volumes)}
    capacities = {str(i): capacity for i, (_, capacity) in enumerate(volumes)}
    parts = weighted_counts(total, demands, capacities)
    assert sum(parts.values()) == min(total, sum(capacities.values()))
    assert all(0 <= parts[c] <= capacities[c] for c in parts)


def test_weights_with_scope_dataset(write_campaign: CampaignWriter) -> None:
    campaign = write_campaign({f"c{i}": () for i in range(40)})
    heavy = {
        case_id: replace(volume, weight=20.0 if case_id < "c2" else 1.0)
        for case_id, volume in campaign.volumes.items()
    }
    variant = Variant(None, 1.0, "random", scope="dataset", budget=40)
    asking, _ = choose_round(replace(campaign, volumes=heavy), variant, {}, None, 1)
    chosen = sum(len(slices) for case_id, slices in asking.slices.items() if case_id < "c2")
    assert chosen > 30  # of 44 slices in these 11 volumes, of 160 in all


def test_selectors_of_simulations() -> None:
    with pytest.raises(SparseError, match="looks at dense labels"):
        check_variant(Variant(0.5, 1.0, "foreground_random"), EQUAL)
    with pytest.raises(SparseError, match="weights of volumes work with scope volume"):
        check_variant(Variant(0.5, 1.0, "ual", scope="dataset"), {"a": 1, "b": 2})
    check_variant(Variant(0.5, 1.0, "ual", scope="dataset"), {"a": 1, "b": 0})
    check_variant(Variant(0.5, 1.0, "random", scope="dataset"), {"a": 1, "b": 2})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\na\n", "columns case and weight"),
        ("case,weight\nc,1\n", "line 2: there is no case 'c'"),
        ("case,weight\na,1\na,2\n", "line 3: case a is there twice"),
        ("case,weight\na,-1\n", "line 2: weight must be a number from 0 on, got '-1'"),
        ("case,weight\na,nan\n", "weight must be a number"),
        ("case,weight\na,0\nb,0\n", "gives every volume the weight 0"),
    ],
)
def test_bad_weights(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "w.csv").write_text(text)
    with pytest.raises(SparseError, match=message):
        read_weights(tmp_path / "w.csv", EQUAL)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Case;Weight\n7;1,5\n", {"007": 1.5, "12E4": 1, "3.10": 1}),
        ("case\tweight\n1,2E+05\t0\n3,1\t,5\n", {"007": 1, "12E4": 0, "3.10": 0.5}),
        ('case,weight\n007,"1,5"\n3.1,2.0\n', {"007": 1.5, "12E4": 1, "3.10": 2}),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_weights_that_a_spreadsheet_has_saved(
    tmp_path: Path, text: str, expected: dict[str, float], encoding: str
) -> None:
    (tmp_path / "w.csv").write_text(text, encoding)
    cases = dict.fromkeys(expected, object())
    assert read_weights(tmp_path / "w.csv", cases) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("7,1", "line 2: '7' may be 007 or 07; has a spreadsheet changed it"),
        ("03. Apr,1", "line 2: there is no case '03. Apr'; has a spreadsheet changed it"),
        ("007,1\n7.0,2", "line 3: '7.0' may be 007 or 07"),
        ("1.1,1", "line 2: '1.1' may be 1.1 or 1.10"),
        ('007,"1,500"', "line 2: weight must be a number from 0 on, got '1,500'"),
        ("007,NA", "line 2: weight must be a number from 0 on, got 'NA'"),
    ],
)
def test_weights_of_which_the_case_is_unknown(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "w.csv").write_text(f"case,weight\n{text}\n")
    with pytest.raises(SparseError, match=message):
        read_weights(tmp_path / "w.csv", {"007": 0, "07": 0, "3-4": 0, "1.1": 0, "1.10": 0})


def test_weights_that_are_not_given(tmp_path: Path) -> None:
    for text in ("case,weight\nb,2.5\n", "case;weight\r\nb;2.5\r\n"):
        (tmp_path / "w.csv").write_text(text)
        assert read_weights(tmp_path / "w.csv", EQUAL) == {"a": 1.0, "b": 2.5}
