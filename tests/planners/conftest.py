import pytest
from nnunet_shortcuts import draw_few_samples


@pytest.fixture(autouse=True)
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for all tests, whether or not the file imports it."""
    draw_few_samples(monkeypatch)


@pytest.fixture(autouse=True)
def one_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("nnUNet_n_proc_DA", "1")  # nnU-Net's planner hands it to torch
