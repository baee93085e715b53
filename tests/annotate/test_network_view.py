import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from annotate.network_beside import Beside, phantom_network
from annotate.phantom_campaign import Kind, phantom_campaign
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from plain_file_systems import without
from waiting import wait_until

from nnunet_sparse.annotate.network_view import NetworkView
from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.prediction.kept_labels import KeptLabels, read_kept_slice
from nnunet_sparse.prediction.trained_network import TrainedNetwork
from nnunet_sparse.system.errors import SparseError

KIND = Kind(axis=1, cases=("a", "b", "c"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return phantom_network(tmp_path_factory.mktemp("results"), KIND)


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    return phantom_campaign(tmp_path / "campaign", KIND)


def test_the_most_urgent_case_comes_first(campaign: Campaign, model: Path) -> None:
    beside = Beside(campaign, model)
    view, process = beside.view, beside.process
    assert view.doing == "the network is being loaded ..."
    process.may_work = False
    view.look_at(["a", "b"])
    assert view.doing == "the network is being loaded ..."
    process.may_work = True
    view.tick()
    assert view.doing == "the network looks at case a ..."
    process.may_work = False
    view.look_at(["c", "a"])  # somebody has gone on before a was seen
    assert not view.knows("a")
    process.may_work = True
    for _ in range(3):
        view.tick()
    assert process.done == ["", "a", "c"]
    assert view.doing == ""
    assert (view.knows("a"), view.knows("b"), view.knows("c")) == (True, False, True)
    kept = KeptLabels(
        TrainedNetwork.open(model), 1, campaign.images.reader(), campaign.folder / "mine", "cpu"
    )
    file = kept.find("c", campaign.image_files("c"))
    for index in range(KIND.shape[1]):
        np.testing.assert_array_equal(view.slice_of("c", index), read_kept_slice(file, index))
    view.close()
    assert process.is_killed


def test_what_was_seen_is_known_to_the_next_session(
    campaign: Campaign, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Beside(campaign, model).view
    first.look_at(["a"])
    first.tick()
    first.tick()
    assert first.knows("a")
    monkeypatch.setattr(nnUNetPredictor, "predict_sliding_window_return_logits", None)
    second = Beside(campaign, model).view
    second.look_at(["a", "b"])
    for _ in range(3):
        second.tick()
    assert second.knows("a")
    assert "fails to predict b" in second.problem("b")
    assert second.problem("a") == ""
    np.testing.assert_array_equal(second.slice_of("a", 2), first.slice_of("a", 2))


def test_a_process_that_ends_is_started_again(campaign: Campaign, model: Path) -> None:
    """As Linux ends one that wants more memory than there is."""
    beside = Beside(campaign, model)
    view = beside.view
    view.look_at(["a", "b"])
    beside.process.dies = True
    view.tick()
    assert "its process has ended" in view.problem("a")
    for _ in range(3):
        view.tick()
    assert len(beside.processes) == 2
    assert view.knows("b")
    view.look_at(["a"])  # it is opened again
    view.tick()
    assert view.knows("a")
    assert view.problem("a") == ""


def test_what_was_predicted_is_deleted_meanwhile(campaign: Campaign, model: Path) -> None:
    view = Beside(campaign, model).view
    view.look_at(["a"])
    view.tick()
    view.tick()
    shutil.rmtree(campaign.folder / "features")
    with pytest.raises(SparseError, match="missing or damaged"):
        view.slice_of("a", 0)
    view.tick()
    view.tick()
    assert view.slice_of("a", 0).shape == (9, 7)


def test_values_that_are_no_numbers(
    campaign: Campaign, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def predict(_: nnUNetPredictor, image: torch.Tensor) -> torch.Tensor:
        return torch.full((3, *image.shape[1:]), torch.nan, dtype=torch.float16)

    monkeypatch.setattr(nnUNetPredictor, "predict_sliding_window_return_logits", predict)
    view = Beside(campaign, model).view
    view.look_at(["a"])
    view.tick()
    view.tick()
    assert "gives values for a that are no finite numbers" in view.problem("a")


def test_a_disk_without_room(campaign: Campaign, model: Path) -> None:
    view = Beside(campaign, model).view
    view.look_at(["a"])
    with without("mkdir"):
        view.tick()
        view.tick()
    assert "Operation not permitted" in view.problem("a")
    view.look_at(["a"])
    view.tick()
    assert view.knows("a")


def damage(file: Path) -> None:
    file.write_bytes(b"damaged")


def make_nan(file: Path) -> None:
    content = torch.load(file, weights_only=False)
    next(iter(content["network_weights"].values())).fill_(torch.nan)
    torch.save(content, file)


@pytest.mark.parametrize(("harm", "said"), [(damage, "is no checkpoint"), (make_nan, "no finite")])
def test_a_network_that_cannot_be_loaded(
    campaign: Campaign, tmp_path: Path, harm: object, said: str
) -> None:
    model = phantom_network(tmp_path / "results", KIND)
    assert callable(harm)
    harm(model / "fold_0" / "checkpoint_final.pth")
    beside = Beside(campaign, model)
    with pytest.raises(SparseError, match=said):
        beside.view.wait_until_loaded()
    beside.view.look_at(["a"])
    assert said in beside.view.problem("a")
    assert beside.view.doing == ""
    assert beside.process.is_killed


def test_a_network_of_other_labels_or_channels(campaign: Campaign, tmp_path: Path) -> None:
    for number, kind in enumerate((Kind(num_labels=3), Kind(channels=("MR",)))):
        model = TrainedNetwork.open(phantom_network(tmp_path / str(number), kind))
        with pytest.raises(SparseError, match="was trained with the"):
            NetworkView(campaign, model)


def is_running(pid: str) -> bool:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] != "Z"  # nobody has asked how it ended


@pytest.mark.slow
def test_a_process_of_its_own(campaign: Campaign, model: Path) -> None:
    """It has PyTorch, which this one has not, and ends with it."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from nnunet_sparse.annotate.network_view import NetworkView\n"
        "from nnunet_sparse.annotate.session import AnnotationSession\n"
        "from nnunet_sparse.campaign.campaign import Campaign\n"
        "from nnunet_sparse.prediction.trained_network import TrainedNetwork\n"
        "if __name__ == '__main__':\n"
        "    folder, model = map(Path, sys.argv[1:])\n"
        "    network = TrainedNetwork.open(model)\n"
        "    view = NetworkView(Campaign.read(folder), network, 'cpu')\n"
        "    view.wait_until_loaded()\n"
        "    session = AnnotationSession(folder, 'mk', network=view)\n"
        "    while not view.knows(session.volume.case_id):\n"
        "        session.tick()\n"
        "    assert 'torch' not in sys.modules\n"
        "    print(view._process._processes[0].pid, view.origin, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, campaign.folder, model],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdout is not None
    pid, *origin = process.stdout.readline().split()
    assert origin[0].startswith("Dataset004_Tiny/")
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until(lambda: not is_running(pid))
    (folder,) = (campaign.folder / "features").iterdir()
    assert folder.name == f"labels_{origin[-1]}_axis1"
    assert json.loads(str(np.load(folder / "a.npz")["asked"]))["axis"] == 1
