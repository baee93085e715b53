"""A session in a viewer: what is painted goes into the session, what it says is shown."""

from typing import Any

from qtpy.QtCore import QTimer

from nnunet_sparse.annotate.display import is_ct, label_colors
from nnunet_sparse.annotate.open_volume import OpenVolume
from nnunet_sparse.annotate.session import AnnotationSession
from nnunet_sparse.annotate.viewer.key_actions import KeyActions, error_line
from nnunet_sparse.annotate.viewer.volume_layers import VolumeLayers
from nnunet_sparse.annotate.viewer.window_closing import WindowClosing
from nnunet_sparse.annotate.viewer.window_keys import CT_KEYS, LOOK_KEYS, WindowKey, work_keys
from nnunet_sparse.annotate.viewer.window_strokes import WindowStrokes
from nnunet_sparse.annotate.viewer.work_dock import WorkDock
from nnunet_sparse.annotate.viewer.work_texts import Shown, shown_of
from nnunet_sparse.campaign.guide_pictures import upright_view
from nnunet_sparse.campaign.worklist import SliceKey
from nnunet_sparse.data.geometry import read_geometry
from nnunet_sparse.system.errors import SparseError

TICK_MS = 1000
NAME = "nnsparse_annotate"

_WOULD_BE_LOST = (
    "what you have painted cannot be written: make that possible, or close the window once more to "
    "lose it"
)


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
    actions
        What the keys do.
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
        self._strokes = WindowStrokes(session)
        self._is_showing = False
        self._seen: object = None
        self._slice: tuple[SliceKey | None, OpenVolume] | None = None
        viewer.layers.clear()
        session.when_leaving(self._let_go)
        buttons = work_keys(session.proposals.has_network)
        self.dock = WorkDock(buttons, self.press, self._choose_label, self._resolve)
        self.actions = KeyActions(session, self.dock, lambda: self.layers, self._show)
        docked = viewer.window.add_dock_widget(self.dock.widget, name=NAME, area="right")
        docked._close_btn = False  # it can be hidden and shown again, but is not lost
        docked.title.close_button.hide()
        channels = [str(c) for c in session.campaign.images.channel_names.values()]
        look = LOOK_KEYS if len(channels) > 1 else tuple(k for k in LOOK_KEYS if k.key != "H")
        keys = (*look, *(CT_KEYS if any(map(is_ct, channels)) else ()))
        self.dock.set_help(keys)
        for key in (*buttons, *keys):
            viewer.bind_key(key.key, lambda _, key=key: self.press(key), overwrite=True)
        viewer.dims.events.current_step.connect(self._looked)
        self._timer = QTimer(self.dock.widget)
        self._timer.timeout.connect(self._tick)
        self._timer.start(TICK_MS)
        self.closing = WindowClosing(
            viewer.window._qt_window,
            self._may_close,
            self._end,
            session.close,
        )
        viewer.title = f"{NAME}: {session.campaign.name}"
        if session.current is None:
            self.actions.do(session.next)
        self._show()

    def press(self, key: WindowKey) -> None:
        """Do what a key stands for."""
        if self.closing.has_begun:
            return
        self._take_strokes()
        action = getattr(self.actions, key.action)
        action(key.argument) if key.argument else action()

    def _painted_on(self, event: Any) -> None:
        """Somebody has ended a stroke."""
        self._strokes.add(event)
        self._take_strokes()
        self._show_dock()

    def _take_strokes(self) -> None:
        """Tell the session what was painted."""
        message = self._strokes.take(self.layers)
        if message is not None:
            self.actions.say(message)

    def _looked(self) -> None:
        """Somebody has paged."""
        if self._is_showing or self.layers is None or self.session.volume is None:
            return
        if self.layers.shown != self.session.shown:
            self._take_strokes()
            self.session.look(self.layers.shown)
            self.actions.say("")

    def _tick(self) -> None:
        self._take_strokes()
        try:
            self.session.tick()
        except (SparseError, OSError) as error:
            self.actions.say(error_line(error))
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
        self._seen = self._now()
        self.dock.show(shown_of(self.session, self.actions.message))

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
        self.actions.say("")

    def _may_close(self) -> bool:
        """Whether nothing would be lost, or somebody closes the window though it would be."""
        self._take_strokes()
        if not self.session.keep() or self.actions.message == _WOULD_BE_LOST:
            return True
        self.actions.say(_WOULD_BE_LOST)
        return False

    def _end(self) -> None:
        """Take the last strokes before the session is closed."""
        self._take_strokes()
        self._timer.stop()
        if self.layers is not None:
            self.layers.label.editable = False
        self.dock.widget.setEnabled(False)
        self.actions.say("writing the labels ...")
