"""What was painted in the window, which the session is told of."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from nnunet_sparse.annotate.session import AnnotationSession
from nnunet_sparse.annotate.viewer.volume_layers import VolumeLayers


class WindowStrokes:
    """Strokes of which the session does not know.

    Parameters
    ----------
    session
        The session.
    """

    def __init__(self, session: AnnotationSession) -> None:
        self._session, self._painted = session, set[int]()

    def add(self, event: Any) -> None:
        """Note that somebody has ended a stroke, as napari says it."""
        volume = self._session.volume
        if volume is None:
            return
        every = np.arange(len(volume))
        for where, *_ in event.value:  # of each axis, one index, a range, or several ones
            self._painted.update(np.atleast_1d(every[where[volume.campaign.axis]]).tolist())

    def take(self, layers: VolumeLayers | None) -> str | None:
        """Tell the session what was painted; what was not accepted, and why."""
        volume = self._session.volume
        if volume is None or layers is None or layers.volume is not volume:
            return None
        others: Iterable[int] = ()
        if layers.label.data is not volume.label:  # a plug-in has put another array in its place
            if layers.label.data.shape == volume.label.shape:
                volume.label[...] = layers.label.data
                others = range(len(volume))
            layers.label.data = volume.label
        slices, self._painted = self._painted | {self._session.shown, *others}, set()
        message = self._session.look_for_strokes(sorted(slices))
        if message is not None:
            layers.refresh()
        return message
