"""One virtual display for all tests of the window."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from viewer.virtual_display import open_display


@pytest.fixture(scope="session")
def screen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A display, and settings of napari that nobody has changed."""
    settings = tmp_path_factory.mktemp("napari") / "settings.yaml"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISPLAY", open_display())
        patch.setenv("QT_QPA_PLATFORM", "xcb")
        patch.setenv("NAPARI_CONFIG", str(settings))
        yield settings
