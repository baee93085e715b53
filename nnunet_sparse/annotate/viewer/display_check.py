"""Whether a window can be opened here; Qt ends the process where it cannot."""

import os
import subprocess
import sys
from importlib.util import find_spec

from nnunet_sparse.system.errors import SparseError

INSTALL = 'pip install "nnunet-sparse[annotate]"'
LIBRARIES = (
    "libegl1 libgl1 libopengl0 libgl1-mesa-dri libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 "
    "libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 "
    "libxcb-xinerama0 libxcb-xkb1 libdbus-1-3 libfontconfig1"
)
"""Debian's packages that Qt needs for a window."""

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
_BINDINGS = ("PySide6", "PyQt6", "PyQt5", "PySide2")
_PROBE = """
from qtpy.QtWidgets import QApplication
from qtpy.QtGui import QOpenGLContext
application = QApplication(["probe"])
if application.platformName() in ("offscreen", "minimal"):
    raise SystemExit(4)
raise SystemExit(0 if QOpenGLContext().create() else 3)
"""
_NO_OPENGL, _UNSEEN = 3, 4
_PATIENCE_S = 120


def check_display() -> None:
    """Refuse where no window can be opened.

    Raises
    ------
    SparseError
        Saying what to install, or what to do.
    """
    if find_spec("napari") is None:
        raise SparseError(f"napari is not installed: {INSTALL}")
    if not any(find_spec(name) for name in _BINDINGS):
        raise SparseError(f"no binding of Qt is installed: {INSTALL}")
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _PROBE],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SparseError(f"the display does not answer; {_ELSEWHERE}") from None
    if done.returncode == 0:
        return
    said = done.stderr
    if done.returncode == _NO_OPENGL:
        raise SparseError(
            f"the display does not draw with OpenGL: install its driver (Debian: libgl1-mesa-dri), "
            f"or {_ELSEWHERE}"
        )
    if done.returncode == _UNSEEN:
        platform = os.environ.get("QT_QPA_PLATFORM")
        raise SparseError(
            f"nobody would see the window: unset QT_QPA_PLATFORM, which is {platform!r}"
        )
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    has_display = any(os.environ.get(name) for name in _DISPLAYS)
    missing = [line for line in lines if "cannot open shared object file" in line]
    # Qt names this library wherever xcb cannot be used, also where there is no display
    if has_display and "could not connect to display" not in said:
        missing += [line for line in lines if " is needed to load" in line]
    if missing:
        raise SparseError(f"libraries of Qt are missing ({missing[0]}): apt install {LIBRARIES}")
    if not has_display:
        raise SparseError(f"there is no display; {_ELSEWHERE}")
    # at last Qt lists all platforms that it knows
    reasons = [line for line in lines if "could not " in line.lower()] or lines[-1:]
    reason = reasons[0] if reasons else f"status {done.returncode}"
    raise SparseError(f"no window can be opened on this display ({reason}); {_ELSEWHERE}")


_ELSEWHERE = (
    "work where there is one: forward X (ssh -X), or send the folder of a campaign that was made "
    "with nnsparse_worklist make --copy"
)
