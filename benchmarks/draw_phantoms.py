"""Draw six cases of every phantom: docs/images/phantoms.png, and phantoms_varied.png.

python benchmarks/draw_phantoms.py docs/images/phantoms.png
python benchmarks/draw_phantoms.py docs/images/phantoms_varied.png 0.5
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from nnunet_sparse.phantoms import PHANTOM_TASKS, make_case

NUM_CASES = 6
CT_WINDOW = (-150, 250)


def draw(output: Path, variation: float = 0.0) -> None:
    """Draw the slice with most foreground of every case, outlined by its labels."""
    figure = Figure(figsize=(2 * NUM_CASES, 2 * len(PHANTOM_TASKS)), layout="constrained")
    grid = figure.subplots(len(PHANTOM_TASKS), NUM_CASES)
    for row, (name, task) in zip(grid, PHANTOM_TASKS.items(), strict=True):
        for number, axes in enumerate(row):
            case = make_case(name, seed=0, case=number, variation=variation)
            z = int(np.argmax((case.label > 0).sum(axis=(1, 2))))
            is_ct = task.channel_name == "CT"
            low, high = CT_WINDOW if is_ct else np.percentile(case.image, (1, 99))
            axes.imshow(case.image[z], cmap="gray", vmin=low, vmax=high)
            for value, color in ((1, "#E69F00"), (2, "#56B4E9")):
                if (case.label[z] >= value).any():
                    axes.contour(case.label[z] >= value, [0.5], colors=color, linewidths=0.8)
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(name)
    figure.savefig(output, dpi=80)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), *map(float, sys.argv[2:]))
