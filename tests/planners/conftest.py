import pytest
from training_fixtures import tiny_paths, trainable, trainable_once

__all__ = ["few_samples", "tiny_paths", "trainable", "trainable_once"]


@pytest.fixture(autouse=True)
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw few voxels for the fingerprint: nnU-Net's 10^8 of tiny images say no more."""
    from nnunet_sparse.planners.sparse_fingerprint import SparseFingerprintExtractor

    original = SparseFingerprintExtractor.__init__

    def init(self, *args, **kwargs):
        original(self, *args, **kwargs)
        self.num_foreground_voxels_for_intensitystats = 1e5

    monkeypatch.setattr(SparseFingerprintExtractor, "__init__", init)
    monkeypatch.setenv("nnUNet_n_proc_DA", "1")  # nnU-Net's planner hands it to torch
