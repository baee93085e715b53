import pytest

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.training.roles import class_weights, resolve_roles, target_names

LABELS = {"background": 0, "liver": 1, "tumour": 2, "vessel": 4, "ignore": 5}


def data_set(**roles):
    return {"labels": LABELS, "nnsparse": {"roles": roles}} if roles else {"labels": LABELS}


@pytest.mark.parametrize(
    ("declared", "given", "target", "context"),
    [
        ({}, {}, (1, 2, 4), ()),
        ({"target": ["tumour"]}, {}, (2,), (1, 4)),
        ({"target": "tumour", "context": [1]}, {}, (2,), (1, 4)),
        ({"context": ["liver", 4]}, {}, (2,), (1, 4)),
        ({"target": ["tumour"]}, {"target": [1, 2]}, (1, 2), (4,)),
    ],
)
def test_labels_of_roles(declared, given, target, context):
    roles = resolve_roles(data_set(**declared), given)
    assert (roles["target"], roles["context"]) == (target, context)
    assert (roles["background"], roles["unannotated"]) == ((0,), (5,))


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        ({"target": ["lung"]}, "no label 'lung' .there are liver, tumour, vessel"),
        ({"target": [3]}, "no label 3"),
        ({"target": [0]}, "no label 0"),
        ({"target": ["ignore"]}, "no label 'ignore'"),
        ({"target": [1], "context": ["liver"]}, "label 1 has two roles"),
        ({"context": [1, 2, 4]}, "no label is left for the target"),
        ({"tumour": [2]}, "role must be one of target, context, got 'tumour'"),
    ],
)
def test_bad_roles(roles, message):
    with pytest.raises(SparseError, match=message):
        resolve_roles(data_set(**roles))


@pytest.mark.parametrize("block", [[], {"roles": []}])
def test_a_block_that_is_no_mapping(block):
    with pytest.raises(SparseError, match=r"dataset\.json"):
        resolve_roles({"labels": LABELS, "nnsparse": block})


def test_regions_are_refused():
    with pytest.raises(SparseError, match="regions"):
        resolve_roles({"labels": {"background": 0, "whole": [1, 2], "core": 2}})


def test_a_data_set_without_ignore_has_nothing_unannotated():
    assert resolve_roles({"labels": {"background": 0, "x": 1}})["unannotated"] == ()


def test_weights_of_classes():
    roles = resolve_roles(data_set(target=["tumour"]))
    weights = {"background": 0.04, "target": 1.4}
    assert class_weights(roles, weights, 5) == [0.04, 1.0, 1.4, 1.0, 1.0]
    assert class_weights(roles, {}, 5) is None
    with pytest.raises(SparseError, match="consecutive"):
        class_weights(roles, weights, 4)
    zero = dict.fromkeys(("background", "context", "target"), 0)
    with pytest.raises(SparseError, match="no class with a weight above 0"):
        class_weights(roles, zero, 5)


@pytest.mark.parametrize(
    ("roles", "expected"),
    [({}, ()), ({"target": ["tumour"]}, ("tumour",)), ({"context": ["liver"]}, ("tumour",))],
)
def test_names_of_targets_where_roles_are_declared(
    roles: dict[str, list[str]], expected: tuple[str, ...]
) -> None:
    labels = {"background": 0, "liver": 1, "tumour": 2, "ignore": 3}
    assert target_names({"labels": labels, "nnsparse": {"roles": roles}}) == expected
    regions = {"labels": {"background": 0, "whole": [1, 2], "tumour": 2}}
    assert target_names({**regions, "nnsparse": {"roles": roles}}) == ()
