import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import BaseMaker
from preprocessing_fixtures import CONFIGURATION, framed_image, make_plans, nnunet_case
from sparse_datasets import make_dataset
from tiny import write_volume
from waiting import at_once

from nnunet_sparse.data.compressed_array import read_array
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.stored_images import StoredImage, store_folder
from nnunet_sparse.planners.image_store import image_owners, store_images
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.exact_json import from_json
from nnunet_sparse.system.paths import NnUNetPaths

SHAPE = (12, 9, 8)


def framed_base(make_base: BaseMaker, channels: int = 1) -> RawDataset:
    folder = make_base(num_train=2, shapes=[SHAPE], channels=channels)
    rng = np.random.default_rng(0)
    for file in sorted((folder / "imagesTr").iterdir()):
        write_volume(file, framed_image(rng, SHAPE))
    return RawDataset.open(folder)


def stored(raw: RawDataset, plans: dict[str, Any], folder: Path) -> dict[str, StoredImage]:
    return store_images(raw.training, folder, plans, CONFIGURATION, 1)


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"mask": True},
        {"mask": True, "spacing": (1.0, 1.7, 2.0), "transpose": (2, 0, 1)},
        {"scheme": "CTNormalization", "spacing": (4.0, 1.5, 1.0)},
        {"spacing": (1.0, 0.7)},
        {"channels": 2, "mask": True},
    ],
)
def test_images_equal_nnunets_inference(
    make_base: BaseMaker, tmp_path: Path, choice: dict[str, Any]
) -> None:
    raw, plans = framed_base(make_base, choice.get("channels", 1)), make_plans(**choice)
    for case_id, image in stored(raw, plans, tmp_path / "store").items():
        expected, mask, properties = nnunet_case(raw, case_id, plans, labelled=False)
        np.testing.assert_array_equal(read_array(image.image), expected)
        assert image.shape == expected.shape[1:]
        assert image.properties == properties
        if choice.get("mask"):
            assert image.nonzero is not None
            np.testing.assert_array_equal(read_array(image.nonzero), mask >= 0)
        else:
            assert image.nonzero is None
        assert image.zeros is not None
        zeros = read_array(image.zeros)[0]
        assert zeros.shape == tuple(properties["shape_after_cropping_and_before_resampling"])
        assert (zeros == 0).sum() == 2**3  # of the 3^3 corner, one layer is cropped


def test_no_mask_is_kept_for_an_image_without_zeros(make_base: BaseMaker, tmp_path: Path) -> None:
    raw = RawDataset.open(make_base(num_train=1))
    (image,) = stored(raw, make_plans(), tmp_path / "store").values()
    assert image.zeros is None


def test_only_missing_and_changed_images_are_made(make_base: BaseMaker, tmp_path: Path) -> None:
    raw, plans, folder = framed_base(make_base), make_plans(), tmp_path / "store"
    first, second = stored(raw, plans, folder).values()
    before = [i.image.stat().st_ino for i in (first, second)]
    changed = raw.training["tr_00"].images[0]
    write_volume(changed, np.random.default_rng(1).normal(size=SHAPE).astype(np.float32))
    images = stored(raw, plans, folder)
    assert images["tr_00"].image.stat().st_ino != before[0]
    assert images["tr_01"].image.stat().st_ino == before[1]
    expected = nnunet_case(raw, "tr_00", plans, labelled=False)[0]
    np.testing.assert_array_equal(read_array(images["tr_00"].image), expected)


def test_what_a_killed_call_left_is_made_anew(make_base: BaseMaker, tmp_path: Path) -> None:
    raw, plans, folder = framed_base(make_base), make_plans(), tmp_path / "store"
    before = {c: read_array(i.image) for c, i in stored(raw, plans, folder).items()}
    (folder / "tr_00.json").unlink()
    (folder / "tr_00.b2nd").write_bytes(b"half")
    (folder / "tr_01.json").write_bytes(b"")
    (folder / ".staging").mkdir()
    (folder / ".staging" / "tr_00.b2nd").write_bytes(b"half")
    for case_id, image in stored(raw, plans, folder).items():
        np.testing.assert_array_equal(read_array(image.image), before[case_id])
    assert not (folder / ".staging").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"garbage",
        b"\xff",
        b"[1]",
        b"[" * 100_000,
        b'{"dict": {"source": {"tuple": []}}}',
        b'{"array": {"dtype": "<f8", "shape": [1000000000000], "values": []}}',
    ],
)
def test_a_damaged_record_is_made_anew(
    make_base: BaseMaker, tmp_path: Path, content: bytes
) -> None:
    raw, plans, folder = framed_base(make_base), make_plans(), tmp_path / "store"
    before = stored(raw, plans, folder)
    (folder / "tr_00.json").write_bytes(content)
    assert stored(raw, plans, folder) == before


def test_records_of_earlier_versions_are_replaced(make_base: BaseMaker, tmp_path: Path) -> None:
    raw, plans, folder = framed_base(make_base), make_plans(), tmp_path / "store"
    before = stored(raw, plans, folder)
    inode = before["tr_00"].image.stat().st_ino
    for file in folder.glob("*.json"):
        record = from_json(json.loads(file.read_text("utf-8")))
        file.with_suffix(".pkl").write_bytes(pickle.dumps(record))
        file.unlink()
    images = stored(raw, plans, folder)
    assert images == before
    assert images["tr_00"].image.stat().st_ino == inode
    assert sorted(file.name for file in folder.glob("tr_*.*")) == [
        "tr_00.b2nd",
        "tr_00.json",
        "tr_01.b2nd",
        "tr_01.json",
    ]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_record_of_an_earlier_version_runs_no_code(
    make_base: BaseMaker, tmp_path: Path, protocol: int
) -> None:
    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "was_here"),)

    raw, plans, folder = framed_base(make_base), make_plans(), tmp_path / "store"
    before = stored(raw, plans, folder)
    (folder / "tr_00.json").unlink()
    (folder / "tr_00.pkl").write_bytes(pickle.dumps({"source": Payload()}, protocol))
    assert stored(raw, plans, folder) == before
    assert not (tmp_path / "was_here").exists()


def test_a_half_replaced_image_is_not_taken_for_the_old_one(
    make_base: BaseMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, plans, folder = framed_base(make_base), make_plans(), tmp_path / "store"
    stored(raw, plans, folder)
    file = raw.training["tr_00"].images[0]
    content, status = file.read_bytes(), file.stat()
    expected = nnunet_case(raw, "tr_00", plans, labelled=False)[0]
    write_volume(file, np.ones(SHAPE, np.float32))
    with monkeypatch.context() as broken:
        broken.setattr("nnunet_sparse.planners.image_store.to_json", _fail)
        with pytest.raises(OSError, match="killed"):
            stored(raw, plans, folder)
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    image = stored(raw, plans, folder)["tr_00"].image
    np.testing.assert_array_equal(read_array(image), expected)


def _fail(_: object) -> bytes:
    raise OSError("killed")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_images_must_be_finite(make_base: BaseMaker, tmp_path: Path, value: float) -> None:
    # ITK reads NaN in NIfTI files as 0
    raw = RawDataset.open(make_base(num_train=2, shapes=[SHAPE], channels=2, ending=".nrrd"))
    image = framed_image(np.random.default_rng(0), SHAPE)
    image[5, 5, 5] = value
    write_volume(raw.training["tr_01"].images[1], image)
    with pytest.raises(SparseError, match=rf"tr_01_0001.* holds {value} in 1 of 864 voxels"):
        stored(raw, make_plans(channels=2), tmp_path / "store")
    assert not (tmp_path / "store" / "tr_01.json").exists()


def test_plans_share_a_store_where_their_images_are_equal() -> None:
    def folder(plans: dict[str, Any]) -> Path:
        return store_folder(Path(), plans, CONFIGURATION)

    plans, other = make_plans(), make_plans()
    other["plans_name"] = "others"
    other["configurations"][CONFIGURATION]["patch_size"] = [9, 9, 9]
    other["foreground_intensity_properties_per_channel"]["0"] = {"mean": 7.0}
    assert folder(plans) == folder(other)
    for name, value in [("spacing", [1, 1, 1]), ("use_mask_for_norm", [True])]:
        changed = make_plans()
        changed["configurations"][CONFIGURATION][name] = value
        assert folder(changed) != folder(plans)
    scheme = {"normalization_schemes": ["CTNormalization"]}
    for content in (plans, other):
        content["configurations"][CONFIGURATION] |= scheme
    assert folder(plans) != folder(other)


def test_variants_use_their_bases_images(make_base: BaseMaker, paths: NnUNetPaths) -> None:
    base = make_base()
    made = make_dataset(paths, base.name, rho=0.3)
    assert made.folder is not None
    raw = RawDataset.open(made.folder)
    assert set(image_owners(raw).values()) == {base.name}
    case_id = next(iter(raw.training))
    image = base / "imagesTr" / f"{case_id}_0000.nii.gz"
    moved = raw.training[case_id].images[0].with_name("other_0000.nii.gz")
    image.rename(moved)
    dataset_json = (raw.folder / "dataset.json").read_text("utf-8")
    (raw.folder / "dataset.json").write_text(dataset_json.replace(image.name, moved.name))
    owners = image_owners(RawDataset.open(raw.folder))
    assert owners.pop(case_id) == raw.name
    assert set(owners.values()) == {base.name}
    base.rename(base.with_name("elsewhere"))
    assert set(image_owners(raw).values()) == {raw.name}


@pytest.mark.slow
def test_two_calls_at_once_make_each_image_once(make_base: BaseMaker, tmp_path: Path) -> None:
    raw, folder = framed_base(make_base), tmp_path / "store"
    cases = RawDataset.open(raw.folder).training

    def inodes() -> list[int]:
        images = store_images(cases, folder, make_plans(), CONFIGURATION, 1)
        return [stored.image.stat().st_ino for stored in images.values()]

    outputs = at_once(inodes, 2)
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) == 2
