import json

import pytest

from nnunet_sparse.doctor.plans_file import choose_plans
from nnunet_sparse.system.errors import SparseError

CONFIGURATION = {
    "data_identifier": "x",
    "patch_size": [8, 8],
    "spacing": [1, 1],
    "normalization_schemes": [],
    "use_mask_for_norm": [],
    "resampling_fn_seg": "f",
    "resampling_fn_seg_kwargs": {},
}


def plans(**changes):
    content = {"plans_name": "a", "transpose_forward": [0, 1, 2], "configurations": {}} | changes
    content["configurations"] = {"2d": CONFIGURATION} | content["configurations"]
    return content


def write(folder, **contents):
    for name, content in contents.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{name}.json").write_text(text)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        ((), None),
        (("mine",), "mine"),
        (("mine", "nnUNetPlans"), "nnUNetPlans"),
        (("mine", "nnUNetPlans", "nnsparsePlans"), "nnsparsePlans"),
    ],
)
def test_the_default(tmp_path, names, chosen):
    write(tmp_path, dataset={"labels": {}}, other="{", **{n: plans(plans_name=n) for n in names})
    found = choose_plans(tmp_path, None)
    assert (found and found["plans_name"]) == chosen


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ([], "is no plans file"),
        (plans(transpose_forward=[0, 1, 1]), "must order the axes"),
        (
            plans(configurations={"2d": {"patch_size": [8, 8]}}),
            "2d: data_identifier must be a text",
        ),
        (plans(configurations={"2d": 3}), "2d must map keys to values"),
        (plans(configurations={"a": {"inherits_from": "b"}}), "a inherits from 'b'"),
        (
            plans(configurations={"a": {"inherits_from": "b"}, "b": {"inherits_from": "a"}}),
            "b inherits from 'a'",
        ),
    ],
)
def test_damaged_plans_are_not_passed_over(tmp_path, content, message):
    write(tmp_path, nnsparsePlans=content, mine=plans())
    for name in (None, "nnsparsePlans"):
        with pytest.raises(SparseError, match=message):
            choose_plans(tmp_path, name)
    assert choose_plans(tmp_path, "mine")
