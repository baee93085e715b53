"""A volume in a viewer: its channels, and the label that is painted on."""

from typing import Any

import numpy as np
import pandas as pd
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

_KEPT = ("mode", "selected_label", "brush_size", "contour", "opacity", "contiguous")
_VEIL = (0.45, 0.45, 0.45, 0.75)
_FILLED = 0.9
_STEP = 4


class VolumeLayers:
    """Layers of one volume.

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
    tools
        :attr:`tools` of the volume before; empty for the first one.

    Attributes
    ----------
    images
        A layer of each channel.
    label
        The layer of the label.
    """

    def __init__(
        self,
        viewer: Any,
        volume: OpenVolume,
        index: int,
        view: UprightView,
        tools: dict[str, Any],
    ) -> None:
        self._viewer, self._volume = viewer, volume
        self._axis = volume.campaign.axis
        self._proposal: Any = None
        names = [str(name) for name in volume.campaign.images.channel_names.values()]
        self._channels = names
        self._colors = label_colors(volume.names, volume.campaign.ignore_label)
        rows, columns = (axis for axis in range(3) if axis != self._axis)
        shown = (columns, rows) if view.is_transposed else (rows, columns)
        self.images = []
        for number, (image, name) in enumerate(zip(volume.images, names, strict=True)):
            window = self._window(image, name, index)
            step = image[::_STEP, ::_STEP, ::_STEP]
            layer = viewer.add_image(
                # byte orders of other machines are not drawn
                image.astype(image.dtype.newbyteorder("="), copy=False),
                name=f"{number}: {name}",
                scale=volume.spacing_mm,
                contrast_limits=window,
                rgb=False,
                multiscale=False,
                visible=not number,
            )
            ends = np.nanmin(step), np.nanmax(step), *window
            layer.contrast_limits_range = float(min(ends)), float(max(ends))
            self.images.append(layer)
        self.label = viewer.add_labels(
            volume.label,
            name=LABEL_LAYER,
            scale=volume.spacing_mm,
            colormap=self._colormap(),
            opacity=0.6,
            features=self._features(),
        )
        self._take_up(tools or self._first_tools())
        viewer.dims.axis_labels = tuple("slice" if k == self._axis else "zyx"[k] for k in range(3))
        viewer.dims.order = (self._axis, *shown)
        down, right = view.flips
        viewer.camera.orientation2d = ("up" if down else "down", "left" if right else "right")
        self.show(index)
        self.zoom(index, shown)

    @property
    def tools(self) -> dict[str, Any]:
        """Brush and label that are chosen, for the volume that comes next."""
        return {name: getattr(self.label, name) for name in _KEPT}

    @property
    def shown(self) -> int:
        """Slice that is shown."""
        return int(self._viewer.dims.current_step[self._axis])

    def show(self, index: int) -> None:
        """Show a slice, with the label ready to be painted on."""
        self._viewer.dims.set_current_step(self._axis, index)
        self._viewer.layers.selection.active = self.label

    def refresh(self) -> None:
        """Draw the label anew."""
        self.label.refresh()

    def forget_strokes(self) -> None:
        """Let undo begin anew: strokes on slices that are saved are not taken back by it."""
        self.label._reset_history()

    def zoom(self, index: int, shown: tuple[int, int]) -> None:
        """Fill the canvas with the body on a slice."""
        plane = np.moveaxis(self._volume.images[0], self._axis, 0)[index]
        box = body_box(plane, self.images[0].contrast_limits)
        ends = {k: (b.start, b.stop) for k, b in zip(sorted(shown), box, strict=True)}
        spacing = [self._volume.spacing_mm[k] for k in shown]
        low, high = np.array([ends[k] for k in shown]).T * spacing
        # pixel 0 reaches half a pixel to either side of 0
        centre = (low + high - spacing) / 2
        room = np.array(self._viewer.canvas.size) / (high - low)
        self._viewer.camera.center = (0.0, *map(float, centre))
        self._viewer.camera.zoom = _FILLED * float(min(room))

    def use_window(self, name: str, index: int) -> bool:
        """Draw CTs in a preset, or all channels by the annotated slices where the name is empty.

        Returns
        -------
        bool
            Whether there is a channel for which that means something.
        """
        changed = False
        for layer, image, channel in zip(
            self.images, self._volume.images, self._channels, strict=True
        ):
            if name and not is_ct(channel):
                continue
            window = CT_WINDOWS[name] if name else self._window(image, channel, index)
            low, high = layer.contrast_limits_range
            layer.contrast_limits_range = min(low, window[0]), max(high, window[1])
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
        scale = self._volume.spacing_mm
        translate = [index * scale[k] if k == self._axis else 0.0 for k in range(3)]
        self._proposal = self._viewer.add_labels(
            np.expand_dims(plane, self._axis),
            name=PROPOSAL_LAYER,
            scale=scale,
            translate=translate,
            colormap=self._colormap(),
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

    def remove(self) -> None:
        """Remove all layers, and let go of their arrays."""
        self.withdraw()
        for layer in (*self.images, self.label):
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
            layer.data = np.zeros((1, 1, 1), np.uint8)

    def _window(self, image: np.ndarray, channel: str, index: int) -> tuple[float, float]:
        slices = self._volume.annotated(with_objects=True) or [index]
        return window_of_slices(image, self._axis, slices, channel)

    def _colormap(self) -> Any:
        ignore = self._volume.campaign.ignore_label
        colors: dict[int | None, Any] = {None: "transparent", 0: "transparent", ignore: _VEIL}
        colors.update({value: color for value, color in self._colors.items()})
        return DirectLabelColormap(color_dict=colors)

    def _features(self) -> Any:
        names = {0: "background", **self._volume.names}
        return pd.DataFrame({"index": list(names), "label": list(names.values())})

    def _first_tools(self) -> dict[str, Any]:
        size = min(n for k, n in enumerate(self._volume.label.shape) if k != self._axis)
        return {"mode": "paint", "selected_label": 1, "brush_size": max(1, size // 40)}

    def _take_up(self, tools: dict[str, Any]) -> None:
        for name, value in tools.items():
            setattr(self.label, name, value)
