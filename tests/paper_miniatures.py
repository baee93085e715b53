"""The paper's three data sets as they are published, small, with the phantoms' anatomy."""

from pathlib import Path

import numpy as np
from published_trees import Draw, atlas_tree, dbc_tree, lits_arrays, lits_tree
from scipy import ndimage

from nnunet_sparse.dataset_tools.convert.convert_command import main_atlas, main_dbc, main_lits17
from nnunet_sparse.phantoms import make_case

Shape = tuple[int, int, int]
BREAST, TUMOUR, STROKE = 2, 4, 2
"""What is segmented is drawn this much larger than its image, and cut out of it: small networks
learn in seconds what fills a good part of a slice, not what fills a fiftieth."""


def phantom_trees(folder: Path, num_volumes: int, shape: Shape) -> None:
    """Published trees of ``num_volumes`` cases of ``shape`` (z, y, x)."""
    numbers = range(num_volumes)
    spacing = (0.7, 0.7, 1)  # x, y, z, the paper's
    lits_tree(folder / "LiTS17", numbers, _closer("lesion", shape, TUMOUR))
    dbc_tree(folder / "DBC", [1 + n for n in numbers], _breast(shape), spacing)
    atlas_tree(folder / "ATLAS_2", _subjects(num_volumes), _closer("subtle", shape, STROKE))


def small_trees(folder: Path) -> None:
    """Published trees of a few voxels; tumours are seen in several slices."""
    lits_tree(folder / "LiTS17", range(6), _tall_tumour)
    dbc_tree(folder / "DBC", range(1, 7))
    atlas_tree(folder / "ATLAS_2", _subjects(6))


def _tall_tumour(number: int) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG001
    image, label = lits_arrays()
    label[1:4, 3:5, 4] = 2
    return image, label


def _subjects(number: int) -> list[str]:
    return [f"r{3 + k:03d}s001" for k in range(number)]  # the tree's test image is of r002


def convert_all(folder: Path, shape: Shape) -> None:
    """Convert the trees in a folder by the commands."""
    size = ["--size", *map(str, shape)]
    for main, name in ((main_lits17, "LiTS17"), (main_dbc, "DBC"), (main_atlas, "ATLAS_2")):
        assert main([str(folder / name), *size, "-np", "1"]) == 0


def _closer(task: str, shape: Shape, times: int) -> Draw:
    """A phantom task whose target, the highest label, fills more of the image."""

    def draw(number: int) -> tuple[np.ndarray, np.ndarray]:
        case = make_case(task, 0, number, _larger(shape, times), (1, 1, 1))
        window = _window(case.label == case.label.max(), shape)
        return case.image[window], case.label[window]

    return draw


def _breast(shape: Shape) -> Draw:
    """Breasts with brighter tissue in the middle of them, from which more of it branches."""

    def draw(number: int) -> tuple[np.ndarray, np.ndarray]:
        spacing = (1, 0.7, 0.7)
        organ, tissue = (
            make_case(task, 0, number, _larger(shape, BREAST), spacing)
            for task in ("organ", "tree")
        )
        window = _window(organ.label > 0, shape)
        image, label = organ.image[window], organ.label[window].copy()
        depth = ndimage.distance_transform_edt(label == 1, spacing)
        branches = ndimage.binary_dilation(tissue.label[window] == 1, iterations=BREAST)
        label[(label == 1) & (branches | (depth > 0.4 * depth.max()))] = 3
        brighter = np.where(label == 3, 2 * organ.image.std(), 0)
        return (image + brighter).astype(np.int16), label

    return draw


def _larger(shape: Shape, times: int) -> Shape:
    return (times * shape[0], times * shape[1], times * shape[2])


def _window(target: np.ndarray, shape: Shape) -> tuple[slice, ...]:
    """Where an image of ``shape`` has the voxels of a mask in its middle."""
    box = ndimage.find_objects(target.astype(int))[0]
    starts = [
        int(np.clip((found.start + found.stop - size) // 2, 0, whole - size))
        for found, size, whole in zip(box, shape, target.shape, strict=True)
    ]
    return tuple(slice(start, start + size) for start, size in zip(starts, shape, strict=True))
