"""The transform against nnU-Net's, and against the formula for every label and voxel."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform

from nnunet_sparse.training.augmentation import AnnotationAwareSpatialTransform
from nnunet_sparse.training.patch_labels import MASKED_IGNORE, PADDING
from nnunet_sparse.training.point_labels import resampled
from nnunet_sparse.training.spatial_transform import DeviceSpatialTransform

IGNORE = 3
TIE = 1e-4
MOVES = [
    {"p_rotation": 1, "rotation": (-0.6, 0.6)},
    {"p_scaling": 1, "scaling": (0.7, 1.4), "p_synchronize_scaling_across_axes": 1},
    {"p_elastic_deform": 1, "elastic_deform_scale": 0.2, "elastic_deform_magnitude": (1, 3)},
    {
        "p_rotation": 1,
        "rotation": (-0.6, 0.6),
        "p_rot_per_axis": 0.5,
        "p_scaling": 1,
        "scaling": (0.5, 2),
        "p_elastic_deform": 1,
        "elastic_deform_magnitude": (1, 3),
        "random_crop": True,
        "patch_center_dist_from_border": 6,
    },
]
SIZES = [((14, 11), (20, 19)), ((9, 12, 10), (16, 15, 14))]


def stock_of(patch, **changes):
    values = {
        "patch_center_dist_from_border": 0,
        "random_crop": False,
        "border_mode_seg": "constant",
        "padding_value_seg": PADDING,
    }
    return SpatialTransform(patch, **(values | changes))


def parameters(transform, shape, seed):
    np.random.seed(seed)  # noqa: NPY002 - the transform draws from the global generators
    torch.manual_seed(seed)
    return transform.get_parameters(image=torch.zeros(1, *shape))


def labels(shape, seed, *, spacing=4):
    """Blocks of three labels, on every fourth plane alone, with a masked corner."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 3, [-(-side // 3) for side in shape])
    label = torch.from_numpy(np.kron(blocks, np.ones([3] * len(shape)))).to(torch.int16)
    label = label[tuple(slice(side) for side in shape)].clone()
    for plane in range(shape[0]):
        if plane % spacing:
            label[plane] = IGNORE
            label[plane, :4] = MASKED_IGNORE
    return label


@pytest.mark.parametrize(("patch", "shape"), SIZES)
@pytest.mark.parametrize("moves", MOVES)
def test_points_are_nnunets(patch, shape, moves):
    stock = stock_of(patch, **moves)
    ours = DeviceSpatialTransform.like(stock)
    for seed in range(5):
        theirs = parameters(stock, shape, seed)
        drawn_next = np.random.rand(), torch.rand(1)  # noqa: NPY002
        found = parameters(ours, shape, seed)
        torch.testing.assert_close(found["grid"], theirs["grid"], rtol=0, atol=1e-6)
        assert found["center_location_in_pixels"] == theirs["center_location_in_pixels"]
        assert (np.random.rand(), torch.rand(1)) == drawn_next  # noqa: NPY002


@pytest.mark.parametrize(("patch", "shape"), SIZES)
@pytest.mark.parametrize("moves", MOVES)
def test_bounds_hold_every_point(patch, shape, moves):
    ours = DeviceSpatialTransform.like(stock_of(patch, **moves))
    for seed in range(5):
        found = parameters(ours, shape, seed)
        at = (found["grid"].flip(-1) + 1) * torch.tensor(shape) / 2 - 0.5
        for coordinate, (low, high) in zip(at.unbind(-1), found["bounds"], strict=True):
            assert low - 1e-3 <= coordinate.min()
            assert coordinate.max() <= high + 1e-3


def test_what_does_not_move_is_cut_out():
    found = parameters(DeviceSpatialTransform.like(stock_of((4, 4))), (8, 8), 0)
    assert found == {"center_location_in_pixels": [4, 4], "grid": None}


def by_formula(label, grid, unknown):
    """Annotation first: every label's share of every point, without any short cut."""
    padding = F.grid_sample(torch.ones(1, 1, *label.shape), grid[None], align_corners=False)[0, 0]
    nearest = PADDING + F.grid_sample(
        (label - PADDING).float()[None, None], grid[None], mode="nearest", align_corners=False
    )[0, 0].to(label.dtype)
    shares = {}
    for value in sorted({*label.unique().tolist(), PADDING} - unknown):
        of_value = (label == value).float()[None, None]
        shares[value] = F.grid_sample(of_value, grid[None], align_corners=False)[0, 0]
    if PADDING in shares:
        shares[PADDING] += 1 - padding
    stack, values = torch.stack(list(shares.values())), torch.tensor(list(shares))
    best, index = stack.max(0)
    of_nearest = sum(share * (nearest == value) for value, share in shares.items())
    near = of_nearest > 0
    winner = torch.where(near & (of_nearest >= best - TIE), nearest, values[index])
    annotated = stack.sum(0) > torch.where(near, 0.5 - TIE, 0.5 + TIE)
    return torch.where(annotated, winner, torch.where(near, IGNORE, nearest)).to(label.dtype)


@pytest.mark.parametrize(("patch", "shape"), SIZES)
@pytest.mark.parametrize("moves", MOVES)
@pytest.mark.parametrize("padding", ["background", "ignore"])
def test_labels_are_those_of_the_formula(patch, shape, moves, padding):
    ours = AnnotationAwareSpatialTransform.like(stock_of(patch, **moves))
    ours.ignore_label = IGNORE
    ours.unknown = frozenset(
        {IGNORE, MASKED_IGNORE} | ({PADDING} if padding == "ignore" else set())
    )
    for seed in range(5):
        label = labels(shape, seed, spacing=1 if seed == 4 else 4)
        found = parameters(ours, shape, seed)
        expected = by_formula(label, found["grid"], set(ours.unknown))
        assert torch.equal(ours._apply_to_segmentation(label[None], **found)[0], expected)


@pytest.mark.parametrize(("patch", "shape"), SIZES)
@pytest.mark.parametrize("moves", MOVES)
def test_joint_labels_are_nnunets(patch, shape, moves):
    stock = stock_of(patch, **moves)
    ours = DeviceSpatialTransform.like(stock)
    for seed in range(5):
        label = labels(shape, seed)[None]
        found = parameters(ours, shape, seed)
        expected = stock._apply_to_segmentation(label, **found)
        assert torch.equal(ours._apply_to_segmentation(label, **found), expected)


def test_ties_go_to_the_nearest_voxel():
    # points half way between two voxels, and a little to either side
    at = torch.tensor([0.5, 0.500001, 1.5, 2.499999])
    grid = torch.stack((2 * (at + 0.5) / 4 - 1, torch.zeros(4)), -1)[None]
    label = torch.tensor([[0, 1, 2, 0]] * 3, dtype=torch.int16)
    transform = AnnotationAwareSpatialTransform.like(stock_of((1, 4)))
    transform.ignore_label, transform.unknown = IGNORE, frozenset({IGNORE})
    found = resampled(label, grid, [(1, 1), (0.5, 2.5)], transform._decide)
    # grid_sample rounds 0.5 to 0 and 1.5 to 2
    assert found.tolist() == [[0, 1, 2, 2]]


def test_points_far_outside_are_padding():
    grid = torch.tensor([[[-9.0, 0.0], [9.0, 0.0], [0.0, -9.0], [0.0, 9.0], [0.0, 0.0]]])
    label = torch.ones(5, 5, dtype=torch.int16)
    found = resampled(label, grid, [(-30, 30), (-30, 30)], pytest.fail)
    assert found.tolist() == [[PADDING] * 4 + [1]]
    nowhere = resampled(label, grid[:, :2], [(2, 2), (-30, -20)], pytest.fail)
    assert nowhere.tolist() == [[PADDING] * 2]
