"""Experiment files for tests."""

from pathlib import Path

from nnunet_sparse.grid.open_grid import Grid, open_grid

TINY = """\
tasks:
  - phantom: {task: organ, shape: [16, 32, 32], num_train: 6, num_test: 2}
configurations:
  - configuration: 2d
    planner: SmallPlanner
    settings: {num_epochs: 3, num_iterations_per_epoch: 2, num_val_iterations_per_epoch: 1,
               save_every: 1}
rho: [0.2]
s: [1/2, 1]
selectors: [fixed]
repeats: 1
nnunet: nnunet
threads: 1
device: cpu
"""


def write_grid(folder: Path, text: str = TINY, name: str = "tiny.yaml") -> Grid:
    file = folder / name
    file.write_text(text)
    return open_grid(file)
