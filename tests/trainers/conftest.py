from training_fixtures import trainable, trainable_once

__all__ = ["trainable", "trainable_once"]
