from training_fixtures import tiny_paths, trainable, trainable_once

__all__ = ["tiny_paths", "trainable", "trainable_once"]
