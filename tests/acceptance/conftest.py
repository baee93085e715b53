import pytest


@pytest.fixture(autouse=True)
def few_samples() -> None:
    """Fingerprints are those of old files."""
