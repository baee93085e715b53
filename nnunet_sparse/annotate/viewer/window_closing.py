"""Closing the window: it goes when all is written, which takes place in a thread."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, QObject, QTimer

from nnunet_sparse.system.errors import SparseError, os_error_message

logger = logging.getLogger(__name__)

_LOOK_MS = 50


class WindowClosing(QObject):  # type: ignore[misc]
    """Holds a window open until a session is closed.

    Parameters
    ----------
    window
        The window.
    may_close
        Asked when somebody closes the window.
    begin
        Called when it is to be closed, once.
    close
        Closes the session, in a thread; gives what could not be written.
    """

    def __init__(
        self,
        window: Any,
        may_close: Callable[[], bool],
        begin: Callable[[], None],
        close: Callable[[], list[str]],
    ) -> None:
        super().__init__(window)
        self._window, self._may_close = window, may_close
        self._begin, self._close = begin, close
        self._thread: threading.Thread | None = None
        self._is_over = False
        self._problems: list[str] = []
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look)
        window.installEventFilter(self)

    @property
    def has_begun(self) -> bool:
        """Whether the session is being closed, or was."""
        return self._thread is not None

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Keep the window from closing before all is written."""
        if watched is not self._window or event.type() != QEvent.Type.Close or self._is_over:
            return False
        event.ignore()
        if self.has_begun or self._may_close():
            self._start()
        return True

    def finish(self) -> None:
        """Wait until all is written, where Qt has ended before the window was closed."""
        if not self._is_over:
            self._start().join()
            self._end()

    def _start(self) -> threading.Thread:
        """Close the session in a thread, unless that goes on already."""
        if self._thread is None:
            self._begin()
            self._thread = threading.Thread(target=self._work, name="closing")
            self._thread.start()
            self._timer.start(_LOOK_MS)
        return self._thread

    def _work(self) -> None:
        try:
            self._problems = self._close()
        except SparseError as error:
            self._problems = [str(error)]
        except OSError as error:
            self._problems = [os_error_message(error)]

    def _look(self) -> None:
        if self._thread is None or self._thread.is_alive():
            return
        self._end()
        self._window.close()

    def _end(self) -> None:
        self._timer.stop()
        self._is_over = True
        for line in self._problems:
            logger.warning("%s", line)
