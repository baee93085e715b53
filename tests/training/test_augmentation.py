import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_sparse.training import augmentation
from nnunet_sparse.training.augmentation import AnnotatedTargets, ResolvePadding, sparse_transforms
from nnunet_sparse.training.device_transforms import on_device
from nnunet_sparse.training.patch_labels import MASKED_BACKGROUND, MASKED_IGNORE, PADDING
from nnunet_sparse.training.settings import STOCK, TrainingSettings

IGNORE = 3
SCALES = [[1, 1, 1], [0.5, 0.5, 0.5]]


@pytest.fixture(autouse=True, params=["workers", "device"])
def place(request, monkeypatch):
    """Where patches are augmented; on the processor both are the same."""
    if request.param == "device":
        by_workers = transforms
        device = torch.device("cpu")
        monkeypatch.setitem(
            globals(), "transforms", lambda *a, **k: on_device(by_workers(*a, **k), device)
        )
    return request.param


def transforms(patch=(16, 16, 16), regions=None, use_mask=False, **changes):
    """Training transforms for patches of this size, with settings that differ from nnU-Net's."""
    stock = nnUNetTrainer.get_training_transforms(
        patch,
        (-0.5, 0.5),
        [scale[: len(patch)] for scale in SCALES],
        (0, 1),
        False,
        use_mask_for_norm=[use_mask],
        regions=regions,
        ignore_label=IGNORE,
    )
    settings = TrainingSettings.from_block(STOCK).replaced(changes)
    return sparse_transforms(stock, settings, IGNORE)


def spatial(patch=(16, 16, 16), **changes):
    """The spatial transform alone, which always rotates."""
    (found,) = [t for t in transforms(patch, **changes).transforms if hasattr(t, "p_rotation")]
    found.p_rotation = found.p_scaling = 1
    return found


def resampled(transform, label, seed=0):
    np.random.seed(seed)  # noqa: NPY002 - the transform draws from the global generator
    image = torch.zeros(1, *label.shape)
    return transform(image=image, segmentation=label[None])["segmentation"][0]


def test_what_is_not_asked_for_is_left_alone(place):
    kinds = [type(t).__name__ for t in transforms().transforms]
    assert kinds[0] == ("SpatialTransform" if place == "workers" else "DeviceSpatialTransform")
    assert "RemoveLabelTransform" not in kinds
    assert kinds[-2:] == ["ResolvePadding", "DownsampleSegForDSTransform"]
    changed = [type(t).__name__ for t in transforms(targets="annotated").transforms]
    assert changed == [*kinds[:-1], "AnnotatedTargets"]


def test_nnunets_transforms_are_not_changed():
    stock = ComposeTransforms([SpatialTransform((4, 4), 0, False, padding_value_seg=-1)])
    settings = TrainingSettings(label_interpolation="annotated_first")
    assert sparse_transforms(stock, settings, IGNORE).transforms[0].padding_value_seg == PADDING
    assert stock.transforms[0].padding_value_seg == -1


def share_kept(label_interpolation):
    """Annotated voxels of each class after rotation and scaling, as a share of those before."""
    rng = np.random.default_rng(0)
    transform = spatial((24, 24, 24), label_interpolation=label_interpolation, padding="ignore")
    transform.scaling = (1, 1)
    before, after = np.zeros(3), np.zeros(3)
    for seed in range(20):
        label = torch.full((48, 48, 48), IGNORE, dtype=torch.int16)
        # a checkerboard of 3 x 3 voxels: class borders everywhere
        board = np.kron(rng.integers(0, 3, (16, 16)), np.ones((3, 3)))
        label[::6] = torch.from_numpy(board).to(torch.int16)
        inner = label[12:36, 12:36, 12:36].numpy()
        found = resampled(transform, label, seed).numpy()
        before += np.bincount(inner[inner != IGNORE].ravel(), minlength=3)
        after += np.bincount(found[found != IGNORE].ravel(), minlength=3)
    return after / before


def test_annotation_at_class_borders_is_kept():
    assert share_kept("joint").max() < 0.97
    assert share_kept("annotated_first") == pytest.approx(np.ones(3), abs=0.04)


@pytest.mark.parametrize("seed", range(5))
def test_dense_labels_are_resampled_as_nnunet_does(seed):
    label = torch.randint(0, 3, (20, 20, 20), dtype=torch.int16)
    results = [
        resampled(spatial(label_interpolation=way), label, seed)
        for way in ("joint", "annotated_first")
    ]
    # nnU-Net rounds shares to half precision
    assert (results[0] != results[1]).float().mean() < 2e-3


@pytest.mark.parametrize("padding", ["background", "ignore"])
def test_only_voxels_of_the_image_get_its_labels(padding):
    transform = spatial(label_interpolation="annotated_first", padding=padding)
    transform.scaling = (2, 2)
    found = resampled(transform, torch.ones(16, 16, 16, dtype=torch.int16))
    edge = {IGNORE} if padding == "ignore" else set()
    assert set(found.unique().tolist()) == {PADDING, 1} | edge
    assert found[8, 8, 8] == 1
    assert found[0, 0, 0] == PADDING


def test_patches_without_annotation_stay_without():
    transform = spatial(label_interpolation="annotated_first", padding="ignore")
    label = torch.full((20, 20, 20), IGNORE, dtype=torch.int16)
    assert set(resampled(transform, label).unique().tolist()) <= {IGNORE, PADDING}
    label[:10] = MASKED_IGNORE
    assert set(resampled(transform, label).unique().tolist()) <= {IGNORE, MASKED_IGNORE, PADDING}


@pytest.mark.parametrize("padding", ["background", "ignore"])
def test_labels_that_nnunet_takes_from_the_nearest_voxel_stay_so(padding):
    stock = SpatialTransform((8, 8, 8), 0, False, p_rotation=1, rotation=0.5, mode_seg="nearest")
    settings = TrainingSettings(label_interpolation="annotated_first", padding=padding)
    (new,) = sparse_transforms(ComposeTransforms([stock]), settings, IGNORE).transforms
    label = torch.full((16, 16, 16), IGNORE, dtype=torch.int16)
    label[::4] = 1
    assert set(resampled(new, label).unique().tolist()) == {1, IGNORE}


def test_padding_is_resolved():
    values = [MASKED_IGNORE, PADDING, MASKED_BACKGROUND, 0, 2, IGNORE]
    expected = {0: [IGNORE, 0, 0, 0, 2, IGNORE], IGNORE: [IGNORE, IGNORE, 0, 0, 2, IGNORE]}
    for target, resolved in expected.items():
        # the second channel is a prediction of a previous stage
        label = torch.tensor([values, [1, PADDING, -1, 0, 0, 0]], dtype=torch.int16)
        result = ResolvePadding(IGNORE, target)(segmentation=label)["segmentation"]
        assert result.tolist() == [resolved, [1, 0, 0, 0, 0, 0]]


def test_masked_voxels_stay_zero_in_the_image():
    whole = transforms(use_mask=True, label_interpolation="annotated_first", padding="ignore")
    label = torch.full((1, 16, 16, 16), IGNORE, dtype=torch.int16)
    label[:, :, :4] = MASKED_IGNORE
    label[:, 5] = 1
    label[:, 5, :4] = MASKED_BACKGROUND
    for t in whole.transforms:
        if hasattr(t, "p_rotation"):
            t.p_rotation = t.p_scaling = 0
        if hasattr(t, "allowed_axes"):
            t.allowed_axes = ()
    result = whole(image=torch.ones(1, 16, 16, 16), segmentation=label)
    assert (result["image"][:, :, :4] == 0).all()
    target = result["segmentation"][0]
    assert (target[:, 5, :4] == 0).all()
    assert (target[:, 6, :4] == IGNORE).all()


def test_regions_are_made_from_every_level():
    label = torch.full((1, 4, 4, 4), IGNORE, dtype=torch.int16)
    label[:, 0] = 2
    whole = transforms((4, 4, 4), regions=[(1, 2), 2], targets="annotated")
    (last,) = [t for t in whole.transforms if isinstance(t, AnnotatedTargets)]
    assert whole.transforms[-1] is last
    fine, coarse = last(segmentation=label)["segmentation"]
    assert fine.shape == (3, 4, 4, 4)
    assert coarse[:, :, 0, 0].tolist() == [[True, False], [True, False], [False, True]]


@examples(max_examples=25)
@given(
    st.sets(st.integers(0, 19), max_size=6),
    st.sampled_from(["background", "ignore"]),
    st.integers(0, 2**32 - 1),
)
def test_no_voxel_is_labelled_that_was_not_annotated(planes, padding, seed):
    annotated = torch.zeros(1, 20, 14, 14)
    annotated[:, sorted(planes)] = 1
    labels = torch.from_numpy(np.random.default_rng(seed).integers(0, 3, annotated.shape))
    label = torch.where(annotated > 0, labels, IGNORE).to(torch.int16)
    whole = transforms(
        (12, 12, 12), targets="annotated", label_interpolation="annotated_first", padding=padding
    )
    # the image follows every movement of the label, but is not changed otherwise
    kept = ("AnnotationAwareSpatialTransform", "MirrorTransform", "ResolvePadding")
    whole.transforms = [
        t for t in whole.transforms if type(t).__name__ in (*kept, "AnnotatedTargets")
    ]
    whole.transforms[0].p_rotation = whole.transforms[0].p_scaling = 1
    np.random.seed(seed)  # noqa: NPY002
    # 1 inside the image, to tell padding apart
    image = torch.cat([annotated, torch.ones_like(annotated)])
    result = whole(image=image, segmentation=label)
    share, inside = result["image"]
    fine, coarse = (target[0] for target in result["segmentation"])
    # the share of a voxel's neighbourhood that is annotated; padding counts if it is background
    share = share + (1 - inside) * (padding == "background")
    assert (share[fine != IGNORE] >= 0.499).all()
    assert (share[fine == IGNORE] <= 0.501).all()
    below = (fine != IGNORE).reshape(6, 2, 6, 2, 6, 2).any(5).any(3).any(1)
    assert torch.equal(coarse != IGNORE, below)


@pytest.mark.parametrize("at_once", [1, 3 * 64, 10**6])
def test_targets_of_a_batch_do_not_depend_on_its_parts(monkeypatch, at_once):
    monkeypatch.setattr(augmentation, "_PIXELS_AT_ONCE", at_once)
    labels = torch.randint(0, 4, (7, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    targets = AnnotatedTargets([[1, 1], [0.5, 0.5]], IGNORE, None)
    found = targets.of_batch(labels)
    for sample, label in enumerate(labels):
        for level, expected in zip(found, targets(segmentation=label)["segmentation"], strict=True):
            assert torch.equal(level[sample], expected)
