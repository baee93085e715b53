import numpy as np
import pytest
from published_trees import volume

from nnunet_sparse.dataset_tools.convert.target_grid import TargetGrid, target_grid


def grid_of(length: int, spacing: float, target: float, size: int, used: list[int]) -> TargetGrid:
    keep = np.zeros((1, 1, length), bool)
    keep[..., used] = True
    source = volume(keep.astype(np.uint8), (spacing, 1, 1))
    return target_grid(source, keep, (1.0, 1.0, target), (1, 1, size))


# worked by hand; offset: of the first target voxel from the first source voxel
@pytest.mark.parametrize(
    ("length", "spacing", "target", "size", "offset"),
    [
        (197, 1.0, 1.0, 224, -14.0),  # ATLAS, x: 14 voxels before, 13 after
        (233, 1.0, 1.0, 256, -12.0),  # ATLAS, y: 12 before, 11 after
        (10, 1.0, 1.0, 4, 3.0),
        (10, 0.5, 1.0, 5, 0.25),  # a target voxel holds two: its centre lies between theirs
        (10, 0.5, 1.0, 3, 1.25),
        (2, 5.0, 1.0, 10, -2.0),  # each slice becomes five: 0 is the third of the first five
        (3, 1.0, 2.0, 2, 0.0),  # two voxels of 2 mm hold 3 mm, with half a mm more at both ends
    ],
)
def test_grid_is_centred(
    length: int, spacing: float, target: float, size: int, offset: float
) -> None:
    grid = grid_of(length, spacing, target, size, [])
    origin, _ = grid.placed_along(volume(np.zeros((1, 1, length), np.uint8), (spacing, 1, 1)))
    assert origin[0] == pytest.approx(offset)
    assert (grid.size[2], grid.shift[2], grid.enlarged[2]) == (size, 0, 0)


@pytest.mark.parametrize(
    ("used", "first", "size", "shift", "enlarged"),
    [
        ([3, 6], 3, 4, 0, 0),  # fits where it is
        ([8], 5, 4, 2, 0),
        ([0, 1], 0, 4, -3, 0),
        ([2, 9], 2, 8, 0, 4),  # larger than the grid
    ],
)
def test_grid_moves_or_grows_to_keep_the_foreground(
    used: list[int], first: int, size: int, shift: int, enlarged: int
) -> None:
    grid = grid_of(10, 1.0, 1.0, 4, used)
    assert (grid.start[2], grid.size[2]) == (first, size)
    assert (grid.shift[2], grid.enlarged[2]) == (shift, enlarged)
