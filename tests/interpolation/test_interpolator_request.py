import shutil

import pytest
from file_times import date_back, written_since
from tiny import tree

from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.data.training_images import TrainingImages
from nnunet_sparse.interpolation.interpolator_presets import InterpolatorPreset
from nnunet_sparse.interpolation.interpolator_request import InterpolatorRequest
from nnunet_sparse.interpolation.train_interpolator_command import main
from nnunet_sparse.system.errors import SparseError

CASES = ("tr_00", "tr_01", "tr_02")
SHORT = InterpolatorRequest(
    device="cpu", changes=(("max_side", 8), ("num_slices", 3), ("num_steps", 2), ("radius", 1))
)


@pytest.fixture
def raw(make_base):
    return RawDataset.open(make_base(channels=2))


def trained(paths, raw, cases=CASES, **options):
    return SHORT.train(TrainingImages(paths, raw, cases, 0), 1, **options)


def test_the_folder_of_a_trained_one(paths, raw):
    before = tree(paths.raw)
    model = trained(paths, raw)
    assert model.path.name.startswith("interpolator_tiny_axis0_seed0_maxside8_numslices3_numsteps2")
    assert {file.name for file in model.path.iterdir()} - {".lock"} == {
        "checkpoint.pth",
        "loss.png",
        "reconstructions.png",
        "training.json",
    }
    assert SHORT.restore(model).network.config["channels"] == 2
    date_back(model.checkpoint)
    assert trained(paths, raw).checkpoint == model.checkpoint
    assert written_since(model.checkpoint) == set()
    assert tree(paths.raw) == before
    with pytest.raises(SparseError, match="trained with other cases: nnsparse_train_interpolator"):
        trained(paths, raw, CASES[:2])
    digest = model.digest("interpolator")
    assert trained(paths, raw, overwrite=True).digest("interpolator") == digest


def test_a_setting_that_was_added_is_recorded_where_it_is_changed(paths, raw):
    images = TrainingImages(paths, raw, CASES, 0)
    assert "outside" not in SHORT.training_record(images)
    published = InterpolatorRequest("published", changes=(("num_steps", 1.0),))
    assert published.training_record(images) == {
        "num_slices": 8,
        "max_side": 256,
        "num_steps": 1,
        "learning_rate": 1e-4,
        "reconstructed": 0.5,
        "radius": 6,
        "temperature": 0.0,
        "span": 0,
        "spread": 0.0,
        "sharpness": 0.0,
        "outside": 1,
    }
    assert published.folder_name(0) == "interpolator_published_axis0_seed0_numsteps1"
    warmer = InterpolatorRequest("published", changes=(("temperature", 0.5),))
    assert warmer.settings.temperature == 0.5


def test_labels_and_other_cases_are_not_read(paths, raw):
    digest = trained(paths, raw).digest("interpolator")
    shutil.rmtree(paths.preprocessed)
    shutil.rmtree(raw.folder / "labelsTr")
    for file in (raw.folder / "imagesTr").glob("tr_0[3-9]*"):
        file.write_bytes(b"")
    assert trained(paths, raw).digest("interpolator") == digest


def test_without_a_network(paths):
    request = InterpolatorRequest(seed=3)
    model = request.model(paths, "Dataset004_Tiny", 2)
    with pytest.raises(
        SparseError, match=r"no interpolator in .*: nnsparse_train_interpolator -d "
    ):
        request.restore(model)
    assert model.command.endswith("-d Dataset004_Tiny --axis 2 --interpolator_seed 3")


def test_images_that_cannot_be_used(paths, raw):
    bad = raw.folder / "imagesTr" / "tr_01_0001.nii.gz"
    original = bad.read_bytes()
    bad.write_bytes(original[:50])
    with pytest.raises(SparseError, match=r"tr_01_0001.nii.gz is damaged"):
        trained(paths, raw)
    assert not list(paths.preprocessed.rglob("*.npy"))
    assert not list(paths.preprocessed.rglob("checkpoint*"))


def test_volumes_of_one_slice(paths, make_base):
    raw = RawDataset.open(make_base(shapes=((1, 9, 9),)))
    with pytest.raises(SparseError, match="no training volume of Dataset004_Tiny has two slices"):
        trained(paths, raw)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_slices": 1}, r"num_slices must lie in \[2, 10000\], got 1"),
        ({"learning_rate": 2.0}, r"learning_rate must lie in \[1e-09, 1\], got 2"),
        ({"spread": 1e-25}, r"spread must be 0 or at least 0\.01, got 1e-25"),
        ({"radius": 1000}, r"radius must lie in \[1, 64\], got 1000"),
        ({"span": -1}, r"span must lie in \[0, 1e\+06\], got -1"),
        ({"spread": -1.0}, r"spread must lie in \[0, 1e\+06\], got -1"),
        ({"sharpness": float("nan")}, r"sharpness must lie in \[0, 10000\], got nan"),
        ({"temperature": 1e-7}, r"temperature must be 0 or at least 1e-06, got 1e-07"),
        ({"temperature": float("inf")}, r"temperature must lie in \[0, 1e\+06\], got inf"),
        ({"outside": 2}, r"outside must lie in \[0, 1\], got 2"),
        ({"reconstructed": -0.1}, r"reconstructed must lie in \[0, 1\], got -0.1"),
    ],
)
def test_values_out_of_range(changes, message):
    with pytest.raises(SparseError, match=message):
        InterpolatorPreset(**{**vars(SHORT.settings), **changes})


def test_the_command(make_base, capsys):
    make_base()
    argv = ["-d", "4", "-np", "1", "-device", "cpu", "--change", "num_steps=2", "max_side=8"]
    assert main(argv) == 0
    assert "trained on: 7 training volumes, axis 0" in capsys.readouterr().out
    for bad, message in (
        (["--change", "steps=3"], "--change takes key=value with a key of num_slices"),
        (["--change", "radius=x"], "radius is a whole number, got 'x'"),
        (["-device", "quantum"], "device 'quantum' cannot be used"),
    ):
        assert main([*argv[:4], *bad]) == 2
        assert message in capsys.readouterr().err
