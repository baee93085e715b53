"""What of nnU-Net takes seconds and says nothing of tiny data sets."""

import pytest

_NUM_SAMPLES = 1e5


def draw_few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw few voxels for fingerprints that are measured in this process, not nnU-Net's 10^8."""
    from nnunet_sparse.planners.sparse_fingerprint import SparseFingerprintExtractor

    original = SparseFingerprintExtractor.__init__

    def init(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        original(self, *args, **kwargs)
        self.num_foreground_voxels_for_intensitystats = _NUM_SAMPLES

    monkeypatch.setattr(SparseFingerprintExtractor, "__init__", init)


def draw_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out ``progress.png`` of trainings in this process, which has 16 million pixels."""
    from nnunetv2.training.logging.nnunet_logger import LocalLogger

    monkeypatch.setattr(LocalLogger, "plot_progress_png", lambda *_: None)
