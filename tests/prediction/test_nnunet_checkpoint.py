import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trained_models import write_model

from nnunet_sparse.prediction.nnunet_checkpoint import read_checkpoint
from nnunet_sparse.system.errors import SparseError


def test_what_nnunet_writes_is_read_without_its_reader(tmp_path: Path) -> None:
    file = write_model(tmp_path) / "fold_0" / "checkpoint_final.pth"
    found = read_checkpoint(file)
    expected = torch.load(file, weights_only=False)
    assert (found.trainer, found.configuration) == ("nnUNetTrainer", "3d")
    assert found.mirroring_axes == (0, 1, 2)
    assert found.weights.keys() == expected["network_weights"].keys()
    for key, weight in found.weights.items():
        assert torch.equal(weight, expected["network_weights"][key])


PLAIN = {"configuration": "2d"}
NAMED: dict[str, Any] = {"network_weights": {}, "trainer_name": "A", "init_args": PLAIN}


class Stranger:
    def __reduce__(self) -> Any:
        return os.mkdir, ("made_by_a_stranger",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Stranger(), "asks for posix.mkdir"),
        ({"network_weights": {}, "trainer_name": Stranger()}, "asks for posix.mkdir"),
        ({"network_weights": {}}, "lacks 'trainer_name'"),
        ([1, 2], "lacks"),
        (
            {
                "network_weights": {"a": "b"},
                "trainer_name": "A",
                "init_args": {"configuration": "2d"},
            },
            "weights are no numbers",
        ),
        ({"network_weights": {}, "trainer_name": 3, "init_args": PLAIN}, "name"),
        (NAMED | {"network_weights": {"a": torch.zeros(1) * 1j}}, "weights are no numbers"),
        (NAMED | {"inference_allowed_mirroring_axes": (7,)}, r"mirrors \(7,\)"),
        (NAMED | {"inference_allowed_mirroring_axes": (0, 0)}, r"mirrors \(0, 0\)"),
        (NAMED | {"inference_allowed_mirroring_axes": list(range(10**4))}, r"\(0, 1, 2, 3\)"),
        ({"network_weights": {}, "trainer_name": np.array([object()])}, "never writes"),
    ],
)
def test_anything_else_is_refused_and_runs_nothing(
    content: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(SparseError, match=f"a.pth is no checkpoint of nnU-Net.*{message}") as found:
        read_checkpoint(tmp_path / "a.pth")
    assert "\n" not in str(found.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]


def test_damaged_and_missing_files_are_refused(tmp_path: Path) -> None:
    file = write_model(tmp_path) / "fold_0" / "checkpoint_final.pth"
    whole = file.read_bytes()
    for part in (whole[: len(whole) // 2], b"", b"text"):
        file.write_bytes(part)
        with pytest.raises(SparseError, match=r"checkpoint_final\.pth is no checkpoint"):
            read_checkpoint(file)
    file.unlink()
    with pytest.raises(SparseError, match="it does not exist"):
        read_checkpoint(file)
