import json
from pathlib import Path
from typing import Any

import pytest

from nnunet_sparse.data.raw_dataset import Case, RawDataset
from nnunet_sparse.data.split import Split, SplitRequest, find_split, keep_split, split_file
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.paths import NnUNetPaths


def dataset(num_train: int = 20, num_test: int = 0, folder: str = "Dataset004_Tiny") -> RawDataset:
    def cases(prefix: str, count: int) -> dict[str, Case]:
        ids = [f"{prefix}_{i:02d}" for i in range(count)]
        return {i: Case(i, (Path(f"{i}_0000.nii.gz"),), Path(f"{i}.nii.gz")) for i in ids}

    return RawDataset(Path(folder), {}, cases("tr", num_train), cases("ts", num_test))


def new_split(paths: NnUNetPaths, request: SplitRequest, **kwargs: Any) -> Split:
    split, is_new = find_split(dataset(**kwargs), paths, request)
    assert is_new
    return split


def test_default_sizes(paths: NnUNetPaths) -> None:
    split = new_split(paths, SplitRequest())
    assert [len(p) for p in (split.train, split.val, split.test)] == [14, 2, 4]
    everything = [*split.train, *split.val, *split.test]
    assert sorted(everything) == sorted(dataset().training)


def test_counts_and_shares(paths: NnUNetPaths) -> None:
    split = new_split(paths, SplitRequest(val=3, test=0.25))
    assert (len(split.val), len(split.test)) == (3, 5)
    assert new_split(paths, SplitRequest(val=1, test=0)).test == ()


def test_own_test_cases_are_used(paths: NnUNetPaths) -> None:
    split = new_split(paths, SplitRequest(), num_test=3)
    assert split.test == ("ts_00", "ts_01", "ts_02")
    assert len(split.train) + len(split.val) == 20
    with pytest.raises(SparseError, match="3 test cases of its own"):
        new_split(paths, SplitRequest(test=2), num_test=3)


def test_seed_decides(paths: NnUNetPaths) -> None:
    assert new_split(paths, SplitRequest(seed=1)) == new_split(paths, SplitRequest(seed=1))
    assert new_split(paths, SplitRequest(seed=1)) != new_split(paths, SplitRequest(seed=2))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (SplitRequest(val=10, test=10), "no training case is left"),
        (SplitRequest(val=0), "val must be at least 1"),
        (SplitRequest(val=-1), "val must be a number of cases"),
        (SplitRequest(test=2.5), "test must be a number of cases"),
        (SplitRequest(test=float("nan")), "test must be a number of cases"),
        (SplitRequest(val=1, file=Path("split.json")), "not both"),
    ],
)
def test_bad_requests(paths: NnUNetPaths, request_: SplitRequest, message: str) -> None:
    with pytest.raises(SparseError, match=message):
        new_split(paths, request_)


def test_kept_split_never_changes(paths: NnUNetPaths) -> None:
    split = new_split(paths, SplitRequest(seed=1))
    assert keep_split(split, paths, "Dataset004_Tiny")
    assert not keep_split(split, paths, "Dataset004_Tiny")
    assert find_split(dataset(), paths, SplitRequest()) == (split, False)
    assert find_split(dataset(), paths, SplitRequest(seed=1)) == (split, False)
    with pytest.raises(SparseError, match="already has another split"):
        find_split(dataset(), paths, SplitRequest(seed=2))
    with pytest.raises(SparseError, match="another process"):
        keep_split(Split(("a",), ("b",), ()), paths, "Dataset004_Tiny")
    assert [p.name for p in split_file(paths, "Dataset004_Tiny").parent.iterdir()] == [
        "nnsparse_split.json"
    ]


def test_new_cases_do_not_disturb_a_kept_split(paths: NnUNetPaths) -> None:
    split = new_split(paths, SplitRequest())
    keep_split(split, paths, "Dataset004_Tiny")
    assert find_split(dataset(25), paths, SplitRequest()) == (split, False)
    with pytest.raises(SparseError, match="has no case"):
        find_split(dataset(5), paths, SplitRequest())


def content(**changes: Any) -> dict[str, Any]:
    ids = sorted(dataset().training)
    return {"train": ids[:15], "val": ids[15:17], "test": ids[17:], **changes}


def test_split_from_a_file(paths: NnUNetPaths, tmp_path: Path) -> None:
    file = tmp_path / "split.json"
    file.write_text(json.dumps(content(train=[f"tr_{i:02d}" for i in range(14)], unused=["tr_14"])))
    split = new_split(paths, SplitRequest(file=file))
    assert (len(split.train), split.val, split.seed) == (14, ("tr_15", "tr_16"), 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val": ["tr_00"]}, "lists tr_00 more than once"),
        ({"test": ["tr_17", "tr_17", "tr_18", "tr_19"]}, "lists tr_17 more than once"),
        ({"test": ["tr_17", "tr_18"]}, "does not say where tr_19 belongs"),
        ({"test": ["tr_17", "tr_18", "tr_19", "xx"]}, "has no case xx"),
        ({"train": [], "unused": [f"tr_{i:02d}" for i in range(15)]}, "leaves no case in train"),
        ({"val": [], "unused": ["tr_15", "tr_16"]}, "leaves no case in val"),
        ({"val": "tr_15"}, "must hold lists"),
        ({"val": [15, 16]}, "must hold lists"),
        ({"unused": 3}, "must hold lists"),
        ({"unused": [["tr_00"]]}, "must hold lists"),
    ],
)
def test_bad_split_files(
    paths: NnUNetPaths, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    file = tmp_path / "split.json"
    file.write_text(json.dumps(content(**changes)))
    with pytest.raises(SparseError, match=message):
        new_split(paths, SplitRequest(file=file))


@pytest.mark.parametrize("text", ["", "[1]", '{"train": [', '{"train": ["tr_00"], "val": []}'])
def test_files_that_are_no_split(paths: NnUNetPaths, tmp_path: Path, text: str) -> None:
    file = tmp_path / "split.json"
    file.write_text(text)
    with pytest.raises(SparseError, match=r"split\.json"):
        new_split(paths, SplitRequest(file=file))
    with pytest.raises(SparseError, match="does not exist"):
        new_split(paths, SplitRequest(file=tmp_path / "none.json"))


def patients(num_cases: int = 20) -> dict[str, str]:
    """Pairs of cases of one patient."""
    return {f"tr_{i:02d}": str(i // 2) for i in range(num_cases)}


def table(file: Path, of_case: dict[str, str]) -> str:
    lines = ["case,patient", *(f"{c},{p}" for c, p in of_case.items())]
    file.write_text("\n".join(lines), encoding="utf-8")
    return str(file)


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_in_one_part(paths: NnUNetPaths, tmp_path: Path, seed: int) -> None:
    text = table(tmp_path / "patients.csv", patients())
    split = new_split(paths, SplitRequest(test=5, val=2, seed=seed, group=text))
    assert [len(p) for p in (split.train, split.val, split.test)] == [14, 2, 4]
    parts = [{patients()[c] for c in part} for part in (split.train, split.val, split.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 10


def test_groups_are_kept_with_the_split(paths: NnUNetPaths, tmp_path: Path) -> None:
    request = SplitRequest(test=4, group=r"^tr_\d(?=[0-4])|^tr_\d\d")
    split = new_split(paths, request)
    assert split.groups is not None
    keep_split(split, paths, "Dataset004_Tiny")
    for again in (SplitRequest(), request, SplitRequest(test=4), SplitRequest(group=request.group)):
        assert find_split(dataset(), paths, again) == (split, False)
    # of a data set that has grown, too
    assert find_split(dataset(25), paths, SplitRequest(group=request.group)) == (split, False)
    assert split.groups.covering(["tr_20"]).cases["tr_20"] == "tr_2"
    with pytest.raises(SparseError, match="made with other groups"):
        find_split(dataset(), paths, SplitRequest(group=table(tmp_path / "p.csv", patients())))


def test_groups_for_a_split_that_has_none(paths: NnUNetPaths, tmp_path: Path) -> None:
    split = new_split(paths, SplitRequest())
    keep_split(split, paths, "Dataset004_Tiny")
    before = split_file(paths, "Dataset004_Tiny").read_text("utf-8")
    both = {**patients(), split.test[0]: "p", split.train[0]: "p"}
    with pytest.raises(SparseError, match="'p' are in two parts"):
        find_split(dataset(), paths, SplitRequest(group=table(tmp_path / "p.csv", both)))
    assert split_file(paths, "Dataset004_Tiny").read_text("utf-8") == before
    apart = {c: part for part in ("train", "val", "test") for c in getattr(split, part)}
    request = SplitRequest(group=table(tmp_path / "p.csv", apart))
    grouped, is_new = find_split(dataset(), paths, request)
    assert is_new
    assert keep_split(grouped, paths, "Dataset004_Tiny")
    kept, is_new = find_split(dataset(), paths, SplitRequest())
    assert (kept, is_new) == (grouped, False)
    assert (kept.train, kept.val, kept.test) == (split.train, split.val, split.test)


def test_patients_of_own_test_cases_are_not_trained_on(paths: NnUNetPaths) -> None:
    """ts_00 to ts_02 and tr_00 to tr_02 are of the patients 0 to 2."""
    split = new_split(paths, SplitRequest(group=r"\d\d$"), num_test=3)
    assert split.test == ("ts_00", "ts_01", "ts_02")
    assert sorted([*split.train, *split.val]) == [f"tr_{i:02d}" for i in range(3, 20)]


def test_groups_of_split_files(paths: NnUNetPaths, tmp_path: Path) -> None:
    file = tmp_path / "split.json"
    file.write_text(json.dumps(content()))
    with pytest.raises(SparseError, match=r"split\.json: cases of the group '7' are in two parts"):
        new_split(paths, SplitRequest(file=file, group=table(tmp_path / "p.csv", patients())))
    file.write_text(json.dumps(content(groups={"pattern": None, "cases": patients()})))
    with pytest.raises(SparseError, match="'7' are in two parts"):
        new_split(paths, SplitRequest(file=file))


def test_too_few_groups(paths: NnUNetPaths) -> None:
    with pytest.raises(SparseError, match="20 labelled cases in 2 groups"):
        new_split(paths, SplitRequest(group=r"tr_\d"))
