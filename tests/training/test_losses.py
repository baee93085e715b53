import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_sparse.training.losses import MaskedFocal, MaskedSoftDice, build_loss
from nnunet_sparse.training.recipe import LOSSES

IGNORE = 3
WEIGHTS = (0.04, 0.25, 1.4)
KINDS = [*((name, None) for name in LOSSES), ("ce", WEIGHTS)]


def batch(seed, share, shape=(2, 4, 5, 6), classes=3):
    """Logits, dense target, and which voxels are annotated; the whole first plane of samples is."""
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(0, 3, (shape[0], classes, *shape[1:])))
    target = torch.from_numpy(rng.integers(0, classes, (shape[0], 1, *shape[1:]), dtype=np.int16))
    annotated = torch.from_numpy(rng.random(target.shape) < share)
    return logits.float(), target, annotated


def sparse(target, annotated):
    return torch.where(annotated, target, IGNORE)


@pytest.mark.parametrize(("name", "weights"), KINDS)
@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), share=st.floats(0.05, 0.95))
def test_equals_the_unmasked_loss_of_the_annotated_voxels_alone(name, weights, seed, share):
    logits, target, annotated = batch(seed, share, shape=(1, 4, 5, 6))
    if not annotated.any():
        return
    masked = build_loss(name, IGNORE, class_weights=weights)(logits, sparse(target, annotated))
    kept = annotated[0, 0]
    alone = build_loss(name, None, class_weights=weights)(logits[:, :, kept], target[:, :, kept])
    assert masked.item() == pytest.approx(alone.item(), abs=1e-6, rel=1e-6)


@pytest.mark.parametrize(("name", "weights"), KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_unannotated_voxels_have_no_gradient_and_others_have_one(name, weights, dtype):
    logits, target, annotated = batch(1, 0.3)
    # would be infinite if it were looked at
    logits = torch.where(annotated, logits, 1e30 * logits.sign()).to(dtype).requires_grad_()
    loss = build_loss(name, IGNORE, class_weights=weights)(logits, sparse(target, annotated))
    loss.backward()
    assert torch.isfinite(loss)
    assert loss.dtype == torch.float32
    outside = (~annotated).expand_as(logits)
    assert (logits.grad[outside] == 0).all()
    assert (logits.grad[~outside] != 0).any()


@pytest.mark.parametrize(("name", "weights"), KINDS)
def test_a_batch_without_annotation_costs_nothing(name, weights):
    logits, target, annotated = batch(2, 0.5)
    logits.requires_grad_()
    ignored = torch.full_like(target, IGNORE)
    loss = build_loss(name, IGNORE, class_weights=weights)(logits, ignored)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-7)
    assert (logits.grad == 0).all()
    assert annotated.any()


def test_cross_entropy_is_torchs():
    logits, target, annotated = batch(3, 0.4)
    expected = F.cross_entropy(
        logits,
        sparse(target, annotated)[:, 0].long(),
        weight=torch.tensor(WEIGHTS),
        ignore_index=IGNORE,
    )
    loss = build_loss("ce", IGNORE, class_weights=WEIGHTS)(logits, sparse(target, annotated))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


def test_dice_by_hand():
    # one sample, four voxels, of which the last is not annotated; softmax of (0, log 3) is 3/4
    target = torch.tensor([[[1, 0, 1, IGNORE]]])
    logits = torch.zeros(1, 2, 4)
    logits[0, 1, :] = torch.log(torch.tensor(3.0))
    # I = 3/4 + 3/4, P = 9/4, T = 2
    expected = 1 - (3 + 1e-5) / (4.25 + 1e-5)
    assert MaskedSoftDice(IGNORE)(logits, target).item() == pytest.approx(expected, abs=1e-6)


def test_dice_and_focal_are_monais_where_all_is_annotated():
    from monai.losses import DiceLoss, FocalLoss

    logits, target, _ = batch(4, 1.0)
    options = {"include_background": False, "to_onehot_y": True, "softmax": True}
    theirs = DiceLoss(smooth_nr=1e-5, smooth_dr=1e-5, **options)(logits, target.long())
    assert MaskedSoftDice(None)(logits, target).item() == pytest.approx(theirs.item(), abs=1e-6)
    focal = FocalLoss(gamma=2.0, use_softmax=True, to_onehot_y=True)(logits, target.long())
    ours = MaskedFocal(None)(logits, target)
    assert ours.item() == pytest.approx(3 * focal.item(), rel=1e-5)


def test_focal_without_modulation_is_cross_entropy():
    logits, target, annotated = batch(5, 0.4)
    sparsely = sparse(target, annotated)
    focal = MaskedFocal(IGNORE, gamma=0)(logits, sparsely)
    assert focal.item() == pytest.approx(build_loss("ce", IGNORE)(logits, sparsely).item())


def test_a_class_of_weight_0_alone_costs_nothing():
    logits, target, _ = batch(6, 1.0)
    loss = build_loss("ce", IGNORE, class_weights=(0, 1, 1))(logits, torch.zeros_like(target))
    assert loss.item() == 0


def test_an_unknown_loss_is_refused():
    with pytest.raises(ValueError, match="got 'mse'"):
        build_loss("mse", IGNORE)


@pytest.mark.parametrize("name", LOSSES)
def test_a_larger_target_is_shrunk_to_the_nearest_voxels(name):
    logits, _, _ = batch(4, 1, shape=(1, 2, 1, 2))
    # 4 x 3 x 4 for 2 x 1 x 2: voxels 1 and 3, 1, 1 and 3 are looked at
    target = torch.full((1, 1, 4, 3, 4), IGNORE)
    target[0, 0, 1::2, 1, 1::2] = torch.tensor([[0, 2], [1, IGNORE]])
    small = torch.tensor([[[[0, 2]], [[1, IGNORE]]]])[None]
    loss = build_loss(name, IGNORE)
    assert loss(logits, target) == loss(logits, small)
    # what lies beside them is not mixed in, annotated or not
    target[0, 0, ::2] = 1
    target[0, 0, :, 0] = 2
    target[0, 0, :, :, 2] = IGNORE
    assert loss(logits, target) == loss(logits, small)


def test_a_target_that_is_no_multiple_is_refused():
    logits, target, _ = batch(5, 1, shape=(1, 2, 2, 2))
    with pytest.raises(ValueError, match=r"\(2, 2, 2\) is no multiple of logits of \(2, 2, 4\)"):
        build_loss("ce", IGNORE)(logits.repeat(1, 1, 1, 1, 2), target)
