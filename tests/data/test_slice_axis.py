from pathlib import Path

import numpy as np
from tiny import write_volume

from nnunet_sparse.data.slice_axis import count_slice_axes

IGNORE = 3


def test_labels_are_counted_by_their_axis(tmp_path: Path) -> None:
    labels = {}
    for number, axis in enumerate([2, 0, 2]):
        label = np.full((5, 6, 7), IGNORE, np.uint8)
        np.moveaxis(label, axis, 0)[[1, 3]] = 1
        labels[f"sparse_{number}"] = label
    labels["dense"] = np.zeros((5, 6, 7), np.uint8)
    labels["empty"] = np.full((5, 6, 7), IGNORE, np.uint8)
    files = {name: tmp_path / f"{name}.nii.gz" for name in labels}
    for name, file in files.items():
        write_volume(file, labels[name])
    assert count_slice_axes(files, "SimpleITKIO", IGNORE, 1) == {2: 2, 0: 1}
