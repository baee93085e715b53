import pytest

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.training.recipe import Recipe


def test_changes_leave_the_rest():
    recipe = Recipe(loss="dice_ce", initial_lr=5e-5).replaced({"iterations": 10})
    assert (recipe.iterations, recipe.loss, recipe.initial_lr) == (10, "dice_ce", 5e-5)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("iteration", 3, "unknown setting 'recipe.iteration' .did you mean recipe.iterations"),
        ("iterations", 0, "recipe.iterations must be a whole number of at least 1, got 0"),
        ("loss", "mse", "recipe.loss must be one of ce, dice_ce, dice_focal, got 'mse'"),
        ("augmentation", ["flip", "flip"], "some of"),
        ("pretrained", 1, "true or false, got 1"),
        ("patch_centres", {"tumour": 1}, "roles"),
        ("patch_centres", {"target": 1, "target+background": 1}, "at most once"),
        ("patch_centres", {"target": 0}, "shares"),
        ("class_weights", {"unannotated": 1}, "background, context, target"),
        ("class_weights", {"target": "1"}, "weights"),
        ("roles", {"background": [1]}, "target and context"),
        ("class_weights", {"tumour": 1}, "not from labels"),
        ("network", 5, "mapping from options"),
        ("network.channels", 5, "recipe.network is written as JSON"),
    ],
)
def test_bad_values_are_named(key, value, message):
    with pytest.raises(SparseError, match=message):
        Recipe().replaced({key: value})
