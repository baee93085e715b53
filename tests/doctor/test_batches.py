import os

import numpy as np
import pytest

from nnunet_sparse.doctor.batch_checks import BatchFacts, check_levels, check_offsets
from nnunet_sparse.doctor.batches import open_batches
from nnunet_sparse.doctor.patch import IGNORED, Patch
from nnunet_sparse.doctor.subject import open_subject


@pytest.mark.parametrize("trainer", ["nnUNetTrainer", "SparseTrainer"])
def test_padding_is_told_from_masked_background(toy, trainer):
    for image in toy.images.values():
        image[:, :, 18:, 18:] = 0
    toy.patch_size = (16, 32, 32)
    toy.write()
    subject = open_subject(toy.paths, "600", None, "3d_fullres")
    source = open_batches(subject, "3d_fullres", trainer, list(toy.labels))
    patches = [p for p in source.patches(8, annotation_only=True) if p.is_straight]
    assert patches
    for patch in patches:
        # z-scored without a mask, zeros of the image are not zero any more
        np.testing.assert_array_equal(patch.is_outside, patch.image[0] == 0)
        assert not patch.annotated(0)[patch.is_outside].any()


@pytest.mark.parametrize("place", ["workers", "device"])
def test_batches_are_the_same_each_time(toy, place):
    toy.settings |= {"augmentation_on": place}
    toy.write()
    subject = open_subject(toy.paths, "600", None, "3d_fullres")
    source = open_batches(subject, "3d_fullres", "SparseTrainer", list(toy.labels))
    before = dict(os.environ)
    first, again = (list(source.patches(2)) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.targets[0], other.targets[0])
    assert dict(os.environ) == before


def test_annotation_inside_the_image():
    target = np.full((4, 4, 4), IGNORED)
    target[1] = 0
    outside = np.zeros((4, 4, 4), bool)
    outside[:, :, 2:] = True
    coarse = np.full((2, 2, 2), IGNORED)
    coarse[0] = 0
    patch = Patch("a", np.zeros((1, 4, 4, 4)), (target, coarse), outside, True)
    assert patch.annotated(0).sum() == 4 * 2
    assert patch.annotated(1).tolist() == [[[True, False]] * 2, [[False, False]] * 2]


def facts(depth_counts, levels=(1.0,)):
    return BatchFacts(10, 10, np.array(depth_counts), levels, levels, 100, 10)


def test_few_patches_cannot_show_all_offsets():
    # two labels drawn among 64 positions: both are seen
    few = facts([1, 1] + [0] * 62)
    assert check_offsets(few, few, "c").verdict == "ok"
    # 128 labels on two positions only
    many = facts([64, 64] + [0] * 62)
    assert check_offsets(many, few, "c").verdict == "warning"


def test_patches_without_any_label_are_not_the_fault_of_the_targets():
    found = check_levels(facts([1], (0.3, 0.3)), (0.67, 0.33), facts([1]), (1.0,), "c")
    assert found.verdict == "warning"
    assert "targets" not in found.advice


@pytest.mark.parametrize(("share", "verdict"), [(0.04, "broken"), (0.4, "warning"), (0.6, "ok")])
def test_outputs_without_weight_do_not_count(share, verdict):
    found = check_levels(facts([1], (1.0, share, 0.0)), (0.67, 0.33, 0), facts([1]), (1.0,), "c")
    assert (found.verdict, found.number) == (verdict, share)
