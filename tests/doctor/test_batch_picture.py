import numpy as np
from matplotlib.image import imread

from nnunet_sparse.data.label_colors import label_color
from nnunet_sparse.doctor.batch_picture import _best_cut, draw_batches
from nnunet_sparse.doctor.batches import open_batches
from nnunet_sparse.doctor.subject import open_subject


def has_color(pixels, color):
    rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return (np.abs(pixels[..., :3] - rgb).max(axis=-1) < 0.02).mean() > 0.003


def test_both_trainers_are_shown(toy, tmp_path):
    toy.patch_size = (32, 32, 32)
    toy.write()
    subject = open_subject(toy.paths, "600", None, "3d_fullres")
    sources = {
        name: open_batches(subject, "3d_fullres", name, list(toy.labels))
        for name in ("nnUNetTrainer", "SparseTrainer")
    }
    draw_batches(sources, subject.classes, tmp_path / "a.png", "title")
    pixels = imread(tmp_path / "a.png")
    # both classes in the coarse targets, padding, and hatching of what is ignored
    for color in ("#E69F00", "#56B4E9", "#7A4B9A", "#8C8C8C"):
        assert has_color(pixels, color), color
    draw_batches(sources, subject.classes, tmp_path / "b.png", "title")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_fifteen_classes_have_fifteen_colours():
    assert len({label_color(value) for value in range(1, 16)}) == 15


def test_the_cut_lies_inside_an_object():
    label = np.zeros((9, 4, 4))
    label[2:7] = 1
    assert _best_cut(np.ones(label.shape, bool), label, 0) == 4
