import pickle

import numpy as np
import pytest
import torch
from acvl_utils.cropping_and_padding.bounding_boxes import crop_and_pad_nd
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.trainers import sparse_loader
from nnunet_sparse.trainers.sparse_loader import SparseDataLoader, annotated_planes
from nnunet_sparse.training.augmentation import AnnotatedTargets, ResolvePadding
from nnunet_sparse.training.patch_labels import MASKED_IGNORE, PADDING

IGNORE = 3
SHAPE = (12, 10, 10)
LABELS = LabelManager({"background": 0, "a": 1, "b": 2, "ignore": IGNORE}, None)
ANNOTATED = (-1, 0, 1, 2)


def write_case(folder, name, planes, *, objects=True, property_=True):
    """A case whose image holds the index of each voxel's plane."""
    label = np.full((1, *SHAPE), IGNORE, np.int16)
    label[:, planes] = 0
    if objects:
        label[:, planes, 2:5, 2:5] = 1
        label[:, planes[:1], 7, 7] = 2
    image = np.broadcast_to(np.arange(SHAPE[0])[None, :, None, None], label.shape)
    locations = {key: np.argwhere(np.isin(label, key)) for key in (1, 2, ANNOTATED)}
    properties = {"class_locations": locations}
    if property_:
        properties["nnsparse"] = {"annotated_planes": np.array(planes, np.int32)}
    nnUNetDatasetBlosc2.save_case(
        image.astype(np.float32), label, properties, str(folder / name), SHAPE_1, SHAPE_1
    )


SHAPE_1 = (1, *SHAPE)


def loader(folder, patch, *, final=None, batch_size=8, oversample=0.33, **changes):
    stock = nnUNetDataLoader(
        nnUNetDatasetBlosc2(str(folder)),
        batch_size,
        patch,
        final or patch,
        LABELS,
        oversample_foreground_percent=oversample,
    )
    values = {"placement": "anywhere", "slice_sampling": "uniform"} | changes
    return SparseDataLoader(stock, LABELS, None, **values)


@pytest.fixture
def folder(tmp_path):
    """Three cases with 1, 2 and 5 annotated planes; a fourth has none."""
    data = tmp_path / "data"
    data.mkdir()
    planes = {"one": [3], "two": [2, 9], "five": [0, 3, 6, 9, 11], "none": []}
    for name, chosen in planes.items():
        write_case(data, name, chosen, objects=name != "one")
    return data


def batches(data_loader, count, seed=0):
    np.random.seed(seed)  # noqa: NPY002 - nnU-Net's loaders draw from the global generator
    return [next(data_loader) for _ in range(count)]


def test_slices_are_drawn_uniformly_and_only_annotated_ones(folder):
    drawn = {}
    for batch in batches(loader(folder, (6, 6), oversample=0), 200):
        assert (batch["target"] != IGNORE).any((1, 2, 3)).all()
        for case, image, target in zip(batch["keys"], batch["data"], batch["target"], strict=True):
            assert image.shape == (1, 6, 6)
            plane = int(image[target != PADDING].max())
            drawn[case, plane] = drawn.get((case, plane), 0) + 1
    expected = [("five", p) for p in (0, 3, 6, 9, 11)] + [("one", 3), ("two", 2), ("two", 9)]
    assert sorted(drawn) == expected
    assert np.abs(np.array(list(drawn.values())) - 200).max() < 5 * np.sqrt(200)


def test_without_foreground_every_slice_is_drawn(folder):
    for name in ("two", "five"):
        for file in folder.glob(f"{name}*"):
            file.unlink()
        write_case(folder, name, [4], objects=False)
    data_loader = loader(folder, (2, 2), oversample=1)
    assert data_loader.slices_of_class == {}
    keys = {key for batch in batches(data_loader, 10) for key in batch["keys"]}
    assert keys == {"one", "two", "five"}


def test_forced_foreground_draws_slices_of_a_class_uniformly(folder):
    data_loader = loader(folder, (6, 6), oversample=1.0)
    # class 1 is on 7 slices of two cases, class 2 on the first annotated slice of each
    assert {k: len(v) for k, v in data_loader.slices_of_class.items()} == {1: 7, 2: 2}
    drawn = {}
    for batch in batches(data_loader, 150):
        for case, image, target in zip(batch["keys"], batch["data"], batch["target"], strict=True):
            assert ((target == 1) | (target == 2)).any()
            plane = int(image[target != PADDING].max())
            drawn[case, plane] = drawn.get((case, plane), 0) + 1
    # half of 1200 for each class: 600 / 7 of each slice, and 600 / 2 of the two with class 2
    expected = {("two", 2): 386, ("two", 9): 86, ("five", 0): 386}
    expected |= {("five", plane): 86 for plane in (3, 6, 9, 11)}
    assert drawn.keys() == expected.keys()
    for key, count in expected.items():
        assert abs(drawn[key] - count) < 5 * np.sqrt(count)


def test_slices_of_a_class_without_our_property(folder):
    for file in folder.glob("*.pkl"):
        properties = pickle.loads(file.read_bytes())
        del properties["nnsparse"]
        file.write_bytes(pickle.dumps(properties))
    data_loader = loader(folder, (6, 6), oversample=1.0)
    assert {k: len(v) for k, v in data_loader.slices_of_class.items()} == {1: 7, 2: 2}


def test_case_sampling_draws_cases_uniformly(folder):
    keys = [
        key
        for b in batches(loader(folder, (6, 6), slice_sampling="case"), 150)
        for key in b["keys"]
    ]
    names, counts = np.unique(keys, return_counts=True)
    assert names.tolist() == ["five", "one", "two"]
    assert np.abs(counts - 400).max() < 5 * np.sqrt(400)


@pytest.mark.parametrize("placement", ["centre", "inside", "anywhere"])
@pytest.mark.parametrize("patch", [(4, 4, 4), (16, 6, 6)])
def test_patches_contain_an_annotated_voxel(folder, patch, placement):
    larger = tuple(size + 3 for size in patch)
    for batch in batches(loader(folder, larger, final=patch, placement=placement), 20):
        start = [big // 2 - small // 2 for big, small in zip(larger, patch, strict=True)]
        middle = (..., *(slice(s, s + n) for s, n in zip(start, patch, strict=True)))
        target = batch["target"][middle]
        assert ((target >= 0) & (target != IGNORE)).flatten(1).any(1).all()


@pytest.mark.parametrize(("placement", "offsets"), [("centre", 1), ("anywhere", 4)])
def test_annotation_lies_at_all_depths(tmp_path, placement, offsets):
    write_case(tmp_path, "one", [6])
    depths = {
        int(depth)
        for batch in batches(loader(tmp_path, (4, 4, 4), placement=placement), 30)
        for depth in torch.where(batch["target"] == 0)[2]
    }
    assert len(depths) == offsets


def test_padding_is_told_apart(tmp_path):
    write_case(tmp_path, "one", [0])
    (batch,) = batches(loader(tmp_path, (24, 24, 24), placement="inside", batch_size=1), 1)
    target = batch["target"][0, 0]
    assert int((target != PADDING).sum()) == np.prod(SHAPE)
    assert int((target == 0).sum()) == 100 - 9 - 1


def test_masked_voxels_are_marked_where_nothing_is_annotated(tmp_path):
    data, masks = tmp_path / "data", tmp_path / "data_nonzero"
    for path in (data, masks):
        path.mkdir()
    write_case(data, "one", [3])
    mask = np.ones(SHAPE_1, np.uint8)
    mask[..., :2] = 0
    nnUNetDatasetBlosc2.save_case(mask, mask, {}, str(masks / "one"), SHAPE_1, SHAPE_1)
    (batch,) = batches(loader(data, SHAPE, placement="inside", batch_size=1), 1)
    target = batch["target"][0, 0]
    assert (target[[0, 11], :, :2] == MASKED_IGNORE).all()
    assert (target[0, :, 2:] == IGNORE).all()
    assert (target[3, :, :2] == 0).all()


def test_data_without_annotation_are_refused(tmp_path):
    write_case(tmp_path, "none", [])
    with pytest.raises(SparseError, match=r"none of the 1 cases .* has an annotated voxel"):
        loader(tmp_path, (4, 4))


def test_planes_of_data_that_nnunet_preprocessed(tmp_path):
    write_case(tmp_path, "stock", [2, 9], property_=False)
    properties = nnUNetDatasetBlosc2(str(tmp_path)).load_case("stock")[3]
    assert annotated_planes(properties, ANNOTATED).tolist() == [2, 9]
    properties["class_locations"][ANNOTATED] = []
    assert annotated_planes(properties, ANNOTATED).tolist() == []


def test_batches_follow_from_the_seed(folder):
    (first,), (again,), (other,) = (batches(loader(folder, (4, 4, 4)), 1, s) for s in (1, 1, 2))
    assert first["keys"] == again["keys"]
    assert torch.equal(first["data"], again["data"])
    assert not torch.equal(first["data"], other["data"])


def test_loaders_go_to_other_processes(folder):
    original = loader(folder, (4, 4, 4))
    (here,), (there,) = (batches(x, 1) for x in (original, pickle.loads(pickle.dumps(original))))
    assert torch.equal(here["data"], there["data"])


def test_targets_of_a_batch_are_those_of_each_sample(folder):
    np.random.seed(0)  # noqa: NPY002 - nnU-Net's loaders draw from the global generator
    stock = loader(folder, (8, 8))
    resolve = ResolvePadding(IGNORE, 0)
    scales = [[1, 1], [0.5, 0.5], [0.25, 0.25]]
    targets = AnnotatedTargets(scales, IGNORE, None)
    together = SparseDataLoader(
        stock, LABELS, ComposeTransforms([resolve, targets]), "inside", "uniform"
    )
    alone = SparseDataLoader(stock, LABELS, ComposeTransforms([resolve]), "inside", "uniform")
    assert together._of_sample_and_batch()[1] is targets
    assert alone._of_sample_and_batch()[1] is None
    (expected,), (found,) = batches(alone, 1), batches(together, 1)
    for sample, label in enumerate(expected["target"]):
        levels = targets(segmentation=label)["segmentation"]
        for level, target in zip(levels, found["target"], strict=True):
            assert torch.equal(target[sample], level)


# boxes that reach into the array: others become too large with acvl_utils
@given(st.lists(st.tuples(st.integers(-8, 3), st.integers(9, 12)), min_size=3, max_size=3))
def test_crops_equal_those_of_acvl_utils(bounds):
    array = np.arange(2 * 4 * 5 * 6).reshape(2, 4, 5, 6)
    box = [[low, low + size] for low, size in bounds]
    expected = crop_and_pad_nd(array, box, -1)
    np.testing.assert_array_equal(sparse_loader._crop(array, box, -1, np.int64), expected)
    np.testing.assert_array_equal(sparse_loader._crop(array[0], box, -1, np.int64), expected[0])
