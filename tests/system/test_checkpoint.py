import pytest
import torch

from nnunet_sparse.system.checkpoint import save_checkpoint
from nnunet_sparse.system.errors import SparseError


def test_what_is_written_is_read(tmp_path):
    save_checkpoint({"weights": torch.arange(3)}, tmp_path / "a.pth")
    assert torch.load(tmp_path / "a.pth")["weights"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "error", [RuntimeError("unexpected pos 64\nmore"), OSError(28, "No space left on device")]
)
def test_a_full_disk_is_one_line(tmp_path, monkeypatch, error):
    def fail(*_):
        raise error

    (tmp_path / "a.pth").write_text("before")
    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(SparseError, match=r"cannot write .*a\.pth: (unexpected|No space)") as found:
        save_checkpoint({}, tmp_path / "a.pth")
    assert "\n" not in str(found.value)
    assert [f.read_text("utf-8") for f in tmp_path.iterdir()] == ["before"]
