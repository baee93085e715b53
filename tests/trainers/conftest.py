from training_fixtures import (
    recipe_trainable,
    recipe_trainable_once,
    trainable,
    trainable_once,
)

__all__ = ["recipe_trainable", "recipe_trainable_once", "trainable", "trainable_once"]
