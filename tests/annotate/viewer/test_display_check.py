import subprocess
from typing import Any

import pytest

from nnunet_sparse.annotate.viewer import display_check
from nnunet_sparse.annotate.viewer.display_check import check_display
from nnunet_sparse.system.errors import SparseError

# what Qt 6 and Python say
NO_LIBRARY = "ImportError: libEGL.so.1: cannot open shared object file: No such file or directory"
PLUGIN = 'qt.qpa.plugin: Could not load the Qt platform plugin "xcb" even though it was found.'
NEEDED = "qt.qpa.plugin: xcb-cursor0 or libxcb-cursor0 is needed to load the Qt xcb plugin."
NO_CURSOR = f"{NEEDED}\n{PLUGIN}"
PLATFORMS = "Available platform plugins are: offscreen, xcb."
NO_DISPLAY = f"qt.qpa.xcb: could not connect to display\n{NEEDED}\n{PLUGIN}\n\n{PLATFORMS}"
NO_PLATFORM = f'qt.qpa.plugin: Could not find the Qt platform plugin "x" in ""\n{PLATFORMS}'


@pytest.mark.parametrize(
    ("status", "said", "display", "expected"),
    [
        (1, NO_LIBRARY, "", "libraries of Qt are missing .*libEGL.*apt install libegl1"),
        (-6, NO_CURSOR, ":0", "libraries of Qt are missing .*xcb-cursor0"),
        (-6, NO_DISPLAY, "", r"there is no display; .*ssh -X.*--copy"),
        (-6, NO_DISPLAY, ":9", "no window can be opened .*could not connect to .*forward X"),
        (-6, NO_PLATFORM, ":0", 'no window can be opened .*Could not find .* plugin "x"'),
        (4, "", ":0", "nobody would see the window: unset QT_QPA_PLATFORM"),
        (3, "", ":0", "does not draw with OpenGL.*libgl1-mesa-dri"),
        (-11, "", ":0", "status -11"),
    ],
)
def test_what_to_do_where_qt_cannot_start(
    monkeypatch: pytest.MonkeyPatch, status: int, said: str, display: str, expected: str
) -> None:
    def run(words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(words, status, "", said)

    monkeypatch.setattr(display_check, "find_spec", lambda name: name)
    monkeypatch.setattr(display_check.subprocess, "run", run)
    for name in ("WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", display)
    with pytest.raises(SparseError, match=expected) as caught:
        check_display()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("missing", "said"), [("napari", "napari is not"), ("PySide6", "Qt is")])
def test_what_to_install(monkeypatch: pytest.MonkeyPatch, missing: str, said: str) -> None:
    there = {"napari", "PySide6"} - {missing}
    monkeypatch.setattr(display_check, "find_spec", lambda name: name if name in there else None)
    with pytest.raises(SparseError, match=rf'{said} .*pip install "nnunet-sparse\[annotate\]"'):
        check_display()
