"""A session in a viewer: what is painted goes into the session, what it says is shown."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer

from nnunet_sparse.annotate.display import is_ct, label_colors
from nnunet_sparse.annotate.open_volume import OpenVolume
from nnunet_sparse.annotate.outcome import Outcome, Result
from nnunet_sparse.annotate.session import AnnotationSession
from nnunet_sparse.annotate.viewer.volume_layers import VolumeLayers
from nnunet_sparse.annotate.viewer.window_closing import WindowClosing
from nnunet_sparse.annotate.viewer.window_keys import CT_KEYS, LOOK_KEYS, WORK_KEYS, WindowKey
from nnunet_sparse.annotate.viewer.work_dock import Shown, WorkDock
from nnunet_sparse.annotate.viewer.work_texts import slice_state, time_text
from nnunet_sparse.campaign.guide_pictures import upright_view
from nnunet_sparse.campaign.worklist import SliceKey
from nnunet_sparse.data.geometry import read_geometry
from nnunet_sparse.system.errors import SparseError, memory_error_message, os_error_message

TICK_MS = 1000
NAME = "nnsparse_annotate"


class CampaignWindow:
    """The window in which somebody annotates.

    Parameters
    ----------
    viewer
        A napari viewer, whose layers go.
    session
        Holds all that is known; the window only shows it.

    Attributes
    ----------
    dock
        What stands beside the image.
    layers
        The volume that is shown; None if there is none.
    closing
        What happens when the window is closed.
    """

    def __init__(self, viewer: Any, session: AnnotationSession) -> None:
        self._viewer, self.session = viewer, session
        self.layers: VolumeLayers | None = None
        self._painted = set[int]()
        self._message, self._is_asked, self._is_showing = "", False, False
        self._seen: object = None
        self._slice: tuple[SliceKey | None, OpenVolume] | None = None
        viewer.layers.clear()
        session.when_leaving(self._let_go)
        self.dock = WorkDock(WORK_KEYS, self.press, self._choose_label, self._resolve)
        viewer.window.add_dock_widget(self.dock.widget, name=NAME, area="right")
        channels = [str(c) for c in session.campaign.images.channel_names.values()]
        look = LOOK_KEYS if len(channels) > 1 else tuple(k for k in LOOK_KEYS if k.key != "H")
        keys = (*look, *(CT_KEYS if any(map(is_ct, channels)) else ()))
        self.dock.set_help(keys)
        for key in (*WORK_KEYS, *keys):
            viewer.bind_key(key.key, lambda _, key=key: self.press(key), overwrite=True)
        viewer.dims.events.current_step.connect(self._looked)
        self._timer = QTimer(self.dock.widget)
        self._timer.timeout.connect(self._tick)
        self._timer.start(TICK_MS)
        self.closing = WindowClosing(
            viewer.window._qt_window,
            self._end,
            session.close,
            self._say,
        )
        viewer.title = f"{NAME}: {session.campaign.name}"
        if session.current is None:
            self._do(session.next)
        self._show()

    def press(self, key: WindowKey) -> None:
        """Do what a key stands for."""
        if self.closing.has_begun:
            return
        self._take_strokes()
        action = getattr(self, key.action)
        action(key.argument) if key.argument else action()

    def next(self) -> None:
        """Save the slice, and show the next one."""
        self._at_slice(self.session.next)

    def back(self) -> None:
        """Show the slice before."""
        self._do(self.session.back)

    def nothing_here(self) -> None:
        """Confirm that there is no object on the slice."""
        self._at_slice(self.session.nothing_here)

    def unsure(self) -> None:
        """Leave the slice for the end, with the note that was written."""
        note = self.dock.note.text().strip()
        current = self.session.current
        self._at_slice(lambda: self.session.unsure(note))
        if self.session.current != current:
            self.dock.note.clear()

    def copy_nearest(self) -> None:
        """Copy the nearest annotated slice onto this one."""
        self._at_slice(self.session.copy_nearest)

    def propose(self) -> None:
        """Show what is proposed for the slice, or accept it."""
        if self.layers is not None and self.layers.proposal is not None:
            self._at_slice(self.session.accept_proposal)
            self.layers.withdraw()
            return
        self._at_slice(self._outline)

    def confirm(self) -> None:
        """Answer that something is meant as it is."""
        volume, current = self.session.volume, self.session.current
        if not self._is_asked or volume is None or current is None:
            self._say("there is nothing to be confirmed")
        elif volume.shows_object(volume.planes[current[1]]):
            self._do(lambda: self.session.next(confirmed=True))
        else:
            self._do(self.session.nothing_here)

    def return_to_slice(self) -> None:
        """Show the slice again that is to be annotated."""
        if self.session.volume is not None:
            self.session.return_to_slice()
        self._say("")

    def look_beside(self, step: str) -> None:
        """Look at a slice beside the one that is shown."""
        if self.session.volume is not None:
            self.session.look(self.session.shown + int(step))
        self._say("")

    def show_next_channel(self) -> None:
        """Show another channel."""
        if self.layers is not None:
            self._say(f"channel {self.layers.show_next_channel()}")

    def use_window(self, name: str = "") -> None:
        """Draw CTs as a preset says; without its name, by the annotated slices."""
        if self.session.volume is not None and self.layers is not None:
            self.layers.use_window(name, self.session.shown)

    def _outline(self) -> Outcome:
        plane, current = self.session.proposal(), self.session.current
        if plane is None or self.layers is None or current is None:
            return Outcome(Result.STAYED, "nothing can be proposed before slices are annotated")
        self.layers.propose(current[1], plane)
        return Outcome(Result.STAYED, "a proposal: A accepts it")

    def _at_slice(self, act: Callable[[], Outcome]) -> None:
        """Do something with the slice that is to be annotated, which has to be seen."""
        current = self.session.current
        is_beside = current is not None and self.session.shown != current[1]
        if self.session.volume is not None and is_beside:
            self.session.return_to_slice()
            self._say("this is the slice that is to be annotated: press the key again")
            return
        self._do(act)

    def _do(self, act: Callable[[], Outcome]) -> None:
        """Do something with the session, and show what came of it."""
        try:
            outcome = act()
        except (SparseError, OSError, MemoryError) as error:
            self._say(_line(error))
            return
        self._is_asked = outcome.result is Result.CONFIRM
        question = " (Y: yes)" if self._is_asked else ""
        if outcome.result is Result.FINISHED and not self.session.queue.num_open:
            question = f"; close the window, then: nnsparse_import {self.session.folder}"
        self._message = f"{outcome.text}{question}"
        self._show()

    def _say(self, message: str) -> None:
        self._message, self._is_asked = message, False
        self._show()

    def _painted_on(self, event: Any) -> None:
        """Somebody has ended a stroke."""
        volume = self.session.volume
        if volume is None:
            return
        every = np.arange(len(volume))
        for where, *_ in event.value:  # of each axis, one index, a range, or several ones
            self._painted.update(np.atleast_1d(every[where[volume.campaign.axis]]).tolist())
        self._take_strokes()
        self._show_dock()

    def _take_strokes(self, others: Iterable[int] = ()) -> None:
        """Tell the session what was painted."""
        volume, layers = self.session.volume, self.layers
        if volume is None or layers is None or layers.volume is not volume:
            return
        if layers.label.data is not volume.label:  # a plug-in has put another array in its place
            if layers.label.data.shape == volume.label.shape:
                volume.label[...] = layers.label.data
                others = range(len(volume))
            layers.label.data = volume.label
        slices, self._painted = self._painted | {self.session.shown, *others}, set()
        message = self.session.look_for_strokes(sorted(slices))
        if message is not None:
            layers.refresh()
            self._say(message)

    def _looked(self) -> None:
        """Somebody has paged."""
        if self._is_showing or self.layers is None or self.session.volume is None:
            return
        if self.layers.shown != self.session.shown:
            self._take_strokes()
            self.session.look(self.layers.shown)
            self._say("")

    def _tick(self) -> None:
        self._take_strokes()
        try:
            self.session.tick()
        except (SparseError, OSError) as error:
            self._say(_line(error))
        if self._now() != self._seen and self.layers is not None:
            self.layers.refresh()  # another program has written, or more slices are asked for
        if self.layers is not None:
            self.layers.fit()
        self._show_dock()

    def _now(self) -> object:
        volume = self.session.volume
        if volume is None:
            return None
        return id(volume.saved), volume.asked, tuple(sorted(volume.conflicts))

    def _let_go(self) -> None:
        """Let go of the volume that is shown."""
        self._slice = None
        if self.layers is not None:
            self.layers.let_go()
            self.dock.show(Shown("opening the next volume ..."))

    def _open(self, volume: OpenVolume) -> None:
        """Show a volume."""
        image = volume.campaign.image_files(volume.case_id)[0]
        affine = read_geometry(image, volume.campaign.images.reader()).affine
        view, index = upright_view(affine, volume.campaign.axis), self.session.shown
        if self.layers is not None:
            self.layers.open(volume, index, view)
            return
        self.layers = VolumeLayers(self._viewer, volume, index, view)
        self.layers.label.events.paint.connect(self._painted_on)
        self.layers.label.events.selected_label.connect(self._mark_label)
        colors = label_colors(volume.names, volume.campaign.ignore_label)
        self.dock.set_labels(volume.names, colors)
        self._mark_label()

    def _show(self) -> None:
        """Show the volume, the slice, and how it stands."""
        session, volume = self.session, self.session.volume
        self._is_showing = True
        try:
            if volume is None:
                self._let_go()
            elif self.layers is None or self.layers.volume is not volume:
                self._open(volume)
            if self.layers is not None and volume is not None:
                if (session.current, volume) != self._slice:
                    self._slice = session.current, volume
                    self.layers.forget_strokes()
                    self.layers.withdraw()
                self.layers.show(session.shown)
                self.layers.refresh()
        finally:
            self._is_showing = False
        self._show_dock()

    def _show_dock(self) -> None:
        session, volume = self.session, self.session.volume
        self._seen = self._now()
        done, asked = session.progress
        shown = Shown(
            "no slice is open",
            done=done,
            asked=asked,
            time=time_text(session.minutes, session.minutes_left),
            message=self._message,
            problems=tuple(session.problems),
        )
        if volume is not None and session.current is not None:
            index, title = session.current[1], f"{volume.case_id}, slice {session.shown}"
            if session.shown != index:
                title += f" (R: back to {index})"
            shown = replace(
                shown,
                title=title,
                state=slice_state(volume, session.shown, session.is_free),
                reason=session.reason,
                note=session.note,
                conflict=bool(volume.conflicts),
            )
        self.dock.show(shown)

    def _choose_label(self, value: int) -> None:
        if self.layers is not None:
            self.layers.label.selected_label = value

    def _mark_label(self) -> None:
        if self.layers is not None:
            self.dock.mark_label(int(self.layers.label.selected_label))

    def _resolve(self, mine: bool) -> None:
        """End the conflict on the slice that is shown, or on the first one."""
        volume = self.session.volume
        if volume is None or not volume.conflicts:
            return
        shown = self.session.shown
        index = shown if shown in volume.conflicts else min(volume.conflicts)
        self.session.resolve(index, mine)
        self.session.look(index)
        self._say("")

    def _end(self) -> None:
        """Take the last strokes before the session is closed."""
        self._take_strokes()
        self._timer.stop()
        if self.layers is not None:
            self.layers.label.editable = False
        self.dock.widget.setEnabled(False)
        self._say("writing the labels ...")


def _line(error: SparseError | OSError | MemoryError) -> str:
    if isinstance(error, MemoryError):
        return memory_error_message(error)
    return os_error_message(error) if isinstance(error, OSError) else str(error)
