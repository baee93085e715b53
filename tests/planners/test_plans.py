import pytest

from nnunet_sparse.data.plans_configuration import configuration_of
from nnunet_sparse.planners.plans import (
    check_configurations,
    default_configurations,
    difference,
    moved,
    read_plans,
    share_preprocessed,
    with_settings,
)
from nnunet_sparse.system.errors import SparseError


def plans(identifier="a_2d", spacing=(1, 1), **more):
    configuration = {"data_identifier": identifier, "spacing": list(spacing), "patch_size": [8, 8]}
    return {
        "plans_name": "a",
        "transpose_forward": [0, 1, 2],
        "configurations": {"2d": configuration | more},
    }


def identifier_of(result):
    return result["configurations"]["2d"]["data_identifier"]


def test_equally_preprocessed_data_are_shared():
    others = [plans("other_2d", patch_size=[4, 4])]
    assert identifier_of(share_preprocessed(plans(), None, others, {"other_2d"})) == "other_2d"


@pytest.mark.parametrize(
    "other",
    [
        plans("other_2d", spacing=(1, 2)),
        plans("other_2d") | {"transpose_forward": [1, 0, 2]},
        plans("other_2d") | {"foreground_intensity_properties_per_channel": {"0": {"mean": 3}}},
    ],
)
def test_other_data_are_not_shared(other):
    assert identifier_of(share_preprocessed(plans(), None, [other], {"other_2d"})) == "a_2d"


def test_data_of_unknown_origin_are_not_shared():
    assert identifier_of(share_preprocessed(plans(), None, [plans("other_2d")], set())) == "a_2d"


def test_data_that_others_use_are_not_overwritten():
    user = plans("a_2d", spacing=(1, 2))
    assert identifier_of(share_preprocessed(plans(), None, [user], {"a_2d"})) == "a_2d_2"


def test_own_data_stay_own():
    own, other = plans("b_2d"), plans("other_2d")
    assert identifier_of(share_preprocessed(plans(), own, [other], {"other_2d"})) == "b_2d"


def test_changed_settings_reach_every_configuration():
    base = plans(nnsparse={"optimizer": "adamw"})
    base["configurations"]["heir"] = {"inherits_from": "2d"}
    changed = with_settings(base, {"num_epochs": 5})["configurations"]
    assert changed["2d"]["nnsparse"].items() >= {"optimizer": "adamw", "num_epochs": 5}.items()
    assert changed["heir"] == {"inherits_from": "2d"}
    assert base["configurations"]["2d"]["nnsparse"] == {"optimizer": "adamw"}


def test_difference_names_the_place():
    assert difference(plans(), plans()) is None
    assert difference(plans(nnsparse={}), plans()) is None
    assert difference(plans(), plans(batch_size=3)) == "batch_size of configuration 2d"
    assert difference(plans() | {"transpose_forward": []}, plans()) == "transpose_forward"


def test_added_configurations_are_no_difference():
    old = plans()
    old["configurations"]["mine"] = {}
    assert difference(old, plans()) is None
    assert difference(plans(), old) == "configuration mine"


def test_unknown_configuration():
    with pytest.raises(SparseError, match=r"'3d' is not planned.*planned: 2d"):
        check_configurations(plans(), ["2d", "3d"])


def test_moved_plans_have_names_of_their_own():
    original = plans("a_2d")
    original["configurations"]["3d"] = {"data_identifier": "nnUNetPlans_3d"}
    result = moved(original, "Dataset002_B", "b")
    assert (result["dataset_name"], result["plans_name"]) == ("Dataset002_B", "b")
    assert result["configurations"]["2d"]["data_identifier"] == "b_2d"
    assert result["configurations"]["3d"]["data_identifier"] == "nnUNetPlans_3d"
    assert moved(result, "x", "a") | {"dataset_name": None} == original | {"dataset_name": None}


def test_own_data_stay_own_when_the_record_is_lost():
    same = plans("b_2d")
    assert identifier_of(share_preprocessed(plans(), plans("b_2d"), [same], set())) == "b_2d"


def test_heirs_have_everything_of_their_ancestors():
    content = plans(batch_size=2)
    content["configurations"] |= {
        "child": {"inherits_from": "2d", "batch_size": 3},
        "grandchild": {"inherits_from": "child", "patch_size": [4, 4]},
    }
    heir = configuration_of(content, "grandchild")
    assert (heir["data_identifier"], heir["batch_size"], heir["patch_size"]) == ("a_2d", 3, [4, 4])


@pytest.mark.parametrize("parent", ["nobody", "heir", "other"])
def test_impossible_inheritance(parent):
    content = plans()
    content["configurations"] |= {
        "heir": {"inherits_from": parent},
        "other": {"inherits_from": "heir"},
    }
    with pytest.raises(
        SparseError, match=rf"plans a: configuration .* inherit from '{parent}|heir"
    ):
        configuration_of(content, "heir")


@pytest.mark.parametrize("configurations", ["[]", '["2d"]', '{"2d": 3}', "null"])
def test_files_of_another_form_are_no_plans(tmp_path, configurations):
    file = tmp_path / "a.json"
    file.write_text('{"plans_name": "a", "configurations": ' + configurations + "}")
    assert read_plans(file) is None


def test_nan_of_nnunet_is_read_as_none(tmp_path):
    file = tmp_path / "a.json"
    file.write_text('{"plans_name": "a", "configurations": {}, "mean": NaN}')
    assert read_plans(file) == {"plans_name": "a", "configurations": {}, "mean": None}


def test_default_configurations_are_those_that_are_planned():
    assert default_configurations(plans()) == ["2d"]
    content = plans()
    content["configurations"] = {"3d_lowres": {}, "3d_fullres": {}, **content["configurations"]}
    assert default_configurations(content) == ["2d", "3d_fullres"]
