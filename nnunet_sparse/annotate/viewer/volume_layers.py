"""A volume in a viewer: its channels, and the label that is painted on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from nnunet_sparse.annotate.display import (
    CT_WINDOWS,
    body_box,
    is_ct,
    label_colors,
    window_of_slices,
)
from nnunet_sparse.annotate.open_volume import OpenVolume
from nnunet_sparse.campaign.guide_pictures import UprightView

LABEL_LAYER = "annotation"
PROPOSAL_LAYER = "proposal"

_VEIL = (0.45, 0.45, 0.45, 0.75)
_FILLED = 0.9
_STEP = 4


class VolumeLayers:
    """Layers of the volume that is open; they stay the same from one volume to the next.

    Parameters
    ----------
    viewer
        A napari viewer.
    volume
        What is shown; the label layer paints into its label.
    index
        Slice that is shown first.
    view
        How slices are turned to be upright.

    Attributes
    ----------
    volume
        What is shown; None if nothing is.
    images
        A layer of each channel.
    label
        The layer of the label.
    """

    def __init__(self, viewer: Any, volume: OpenVolume, index: int, view: UprightView) -> None:
        self._viewer, self._axis = viewer, volume.campaign.axis
        self.volume: OpenVolume | None = None
        self._proposal: Any = None
        self._zoomed: tuple[Any, ...] = ()
        # what plug-ins have made for the volume before
        self._before: dict[Any, int] = {}
        self._channels = [str(name) for name in volume.campaign.images.channel_names.values()]
        nothing = np.zeros((1, 1, 1), np.uint8)
        with self._still():
            self.images = [
                viewer.add_image(
                    nothing, name=f"{k}: {name}", rgb=False, multiscale=False, visible=not k
                )
                for k, name in enumerate(self._channels)
            ]
            self._colormap = _colormap(volume)
            self.label = viewer.add_labels(
                nothing, name=LABEL_LAYER, colormap=self._colormap, opacity=0.6
            )
            names = {0: "background", **volume.names}
            self.label.features = pd.DataFrame(
                {"index": list(names), "label": list(names.values())}
            )
        self.open(volume, index, view)
        self.label.mode, self.label.selected_label = "paint", 1
        smallest = min(n for k, n in enumerate(volume.label.shape) if k != self._axis)
        self.label.brush_size = max(1, smallest // 40)

    def open(self, volume: OpenVolume, index: int, view: UprightView) -> None:
        """Show another volume, zoomed to the body on a slice."""
        viewer, axis = self._viewer, self._axis
        self.volume = volume
        self._before = {layer: id(layer.data) for layer in self._other_labels}
        rows, columns = (k for k in range(3) if k != axis)
        shown = (columns, rows) if view.is_transposed else (rows, columns)
        with self._still():
            for layer, image in zip(self.images, volume.images, strict=True):
                # byte orders of other machines are not drawn
                layer.data = image.astype(image.dtype.newbyteorder("="), copy=False)
                layer.scale = volume.spacing_mm
            self.label.data, self.label.scale = volume.label, volume.spacing_mm
            self.use_window("", index)
            viewer.dims.axis_labels = tuple("slice" if k == axis else "zyx"[k] for k in range(3))
            viewer.dims.order = (axis, *shown)
            down, right = view.flips
            viewer.camera.orientation2d = ("up" if down else "down", "left" if right else "right")
            self.show(index)
            self._zoom(index)

    def let_go(self) -> None:
        """Show nothing, and let go of the volume."""
        self.withdraw()
        self.volume = None
        with self._still():
            for layer in (*self.images, self.label):
                # as large, in no memory: sliders stay where they are
                layer.data = np.broadcast_to(np.zeros((), layer.data.dtype), layer.data.shape)

    @property
    def shown(self) -> int:
        """Slice that is shown."""
        return int(self._viewer.dims.current_step[self._axis])

    def show(self, index: int) -> None:
        """Show a slice, with the label ready to be painted on."""
        for layer in (*self.images, self.label):
            if layer not in self._viewer.layers:  # somebody has removed it
                self._viewer.layers.append(layer)
        self._viewer.dims.set_current_step(self._axis, index)
        self._viewer.layers.selection.active = self.label

    def refresh(self) -> None:
        """Draw the label anew."""
        self.label.refresh()

    def forget_strokes(self) -> None:
        """Let undo begin anew: strokes on slices that are saved are not taken back by it."""
        self.label._reset_history()

    def use_window(self, name: str, index: int) -> bool:
        """Draw CTs in a preset, or all channels by the annotated slices where the name is empty.

        Returns
        -------
        bool
            Whether there is a channel for which that means something.
        """
        changed = False
        volume = self._open()
        slices = volume.annotated(with_objects=True) or [index]
        for layer, image, channel in zip(self.images, volume.images, self._channels, strict=True):
            if name and not is_ct(channel):
                continue
            window = window_of_slices(image, self._axis, slices, channel)
            window = CT_WINDOWS.get(name, window)
            sample = image[::_STEP, ::_STEP, ::_STEP]
            low = min(float(np.nanmin(sample)), window[0])
            layer.contrast_limits_range = low, max(float(np.nanmax(sample)), window[1])
            layer.contrast_limits = window
            changed = True
        return changed

    def show_next_channel(self) -> str:
        """Show the next channel alone; its name."""
        visible = [k for k, layer in enumerate(self.images) if layer.visible]
        following = (visible[-1] + 1) % len(self.images) if visible else 0
        for k, layer in enumerate(self.images):
            layer.visible = k == following
        return str(self.images[following].name)

    @property
    def proposal(self) -> np.ndarray | None:
        """The proposal that is shown, (rows, columns)."""
        return None if self._proposal is None else self._proposal.metadata["plane"]

    def propose(self, index: int, plane: np.ndarray) -> None:
        """Show outlines of what is proposed for a slice."""
        self.withdraw()
        scale = self._open().spacing_mm
        translate = [index * scale[k] if k == self._axis else 0.0 for k in range(3)]
        self._proposal = self._viewer.add_labels(
            np.expand_dims(plane, self._axis),
            name=PROPOSAL_LAYER,
            scale=scale,
            translate=translate,
            colormap=self._colormap,
            opacity=1.0,
            metadata={"plane": plane},
        )
        self._proposal.contour = 1
        self._proposal.editable = False
        self._viewer.layers.selection.active = self.label

    def withdraw(self) -> None:
        """Take the outlines away."""
        if self._proposal is not None and self._proposal in self._viewer.layers:
            self._viewer.layers.remove(self._proposal)
        self._proposal = None

    def take_objects(self, index: int) -> str:
        """Give the label that is chosen to all that another layer of labels shows on a slice.

        It is the layer that is selected, or else the topmost one that is visible.

        Returns
        -------
        str
            What came of it, in words.
        """
        shape, before = self._open().label.shape, self._before
        found = [
            layer
            for layer in self._other_labels
            if layer.data.shape == shape and before.get(layer) != id(layer.data)
        ]
        selected = self._viewer.layers.selection.active
        if selected in self._other_labels:
            found = [layer for layer in found if layer is selected]
        else:
            found = [layer for layer in found if layer.visible]
        if not found:
            return "there is no other layer of labels that was made for this volume"
        shown = np.moveaxis(np.asarray(found[-1].data), self._axis, 0)[index]
        places = list(np.nonzero(shown))
        if not len(places[0]):
            return f"layer {found[-1].name} shows nothing on this slice"
        places.insert(self._axis, np.full_like(places[0], index))
        self.label.data_setitem(tuple(places), self.label.selected_label)
        return f"taken from layer {found[-1].name}"

    def fit(self) -> None:
        """Zoom to the body anew where the window has another size, unless somebody has zoomed."""
        before, now = self._zoomed, self._view_now
        if self.volume is not None and before[:2] == now[:2] and before != now:
            self._zoom(self.shown)

    @property
    def _other_labels(self) -> list[Any]:
        """Layers of labels that are not ours, the topmost one last."""
        own = (self.label, self._proposal)
        return [x for x in self._viewer.layers if isinstance(x, Labels) and x not in own]

    @property
    def _view_now(self) -> tuple[Any, ...]:
        camera = self._viewer.camera
        return camera.zoom, tuple(camera.center), tuple(self._viewer.canvas.size)

    def _zoom(self, index: int) -> None:
        """Fill the canvas with the body on a slice."""
        shown = self._viewer.dims.order[1:]
        volume = self._open()
        plane = np.moveaxis(volume.images[0], self._axis, 0)[index]
        box = body_box(plane, self.images[0].contrast_limits)
        ends = {k: (b.start, b.stop) for k, b in zip(sorted(shown), box, strict=True)}
        spacing = [volume.spacing_mm[k] for k in shown]
        low, high = np.array([ends[k] for k in shown]).T * spacing
        # pixel 0 reaches half a pixel to either side of 0
        centre = (low + high - spacing) / 2
        room = np.array(self._viewer.canvas.size) / (high - low)
        self._viewer.camera.center = (0.0, *map(float, centre))
        self._viewer.camera.zoom = _FILLED * float(min(room))
        self._zoomed = self._view_now

    def _open(self) -> OpenVolume:
        assert self.volume is not None, "no volume is shown"
        return self.volume

    @contextmanager
    def _still(self) -> Iterator[None]:
        """Draw nothing before all layers fit: OpenGL ends the process over half a scene."""
        canvas = self._viewer.window._qt_viewer.canvas.native
        canvas.setUpdatesEnabled(False)
        try:
            yield
        finally:
            canvas.setUpdatesEnabled(True)


def _colormap(volume: OpenVolume) -> Any:
    ignore = volume.campaign.ignore_label
    colors: dict[int | None, Any] = dict(label_colors(volume.names, ignore).items())
    colors |= {None: "transparent", 0: "transparent", ignore: _VEIL}
    return DirectLabelColormap(color_dict=colors)
