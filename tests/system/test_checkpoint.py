import io
import os
import random

import pytest
import torch

from nnunet_sparse.system.checkpoint import load_checkpoint, save_checkpoint
from nnunet_sparse.system.errors import SparseError


def test_what_is_written_is_read(tmp_path):
    save_checkpoint({"weights": torch.arange(3)}, tmp_path / "a.pth")
    assert load_checkpoint(tmp_path / "a.pth")["weights"].tolist() == [0, 1, 2]


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


@pytest.mark.parametrize("is_archive", [True, False])
def test_damaged_checkpoints_are_one_line(tmp_path, is_archive):
    """Of both formats that torch reads, with bytes that differ, cut, or of something else."""
    content = {"network": torch.nn.BatchNorm1d(4).state_dict(), "record": {"a": [1, 2.0, "x"]}}
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=is_archive)
    whole, rng, file = stream.getvalue(), random.Random(0), tmp_path / "a.pth"
    damaged = [b"", b"PK\3\4", b"\x80\x02.", whole[: len(whole) // 2]]
    for _ in range(150):
        changed = bytearray(whole)
        for _ in range(3):
            changed[rng.randrange(len(whole))] = rng.randrange(256)
        damaged.append(bytes(changed))
    said = []
    for one in damaged:
        file.write_bytes(one)
        try:
            load_checkpoint(file)
        except SparseError as error:
            said.append(str(error))
    assert len(said) > 20
    assert all(line.startswith(f"{file} is damaged: ") and "\n" not in line for line in said)


def test_what_is_no_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.pth"):
        load_checkpoint(tmp_path / "a.pth")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SparseError, match="pipe is no file"):
        load_checkpoint(tmp_path / "pipe")
