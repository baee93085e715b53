"""The figure of a training's progress that nnU-Net draws."""

from typing import Any


class WithoutFigure:
    """A logger of nnU-Net that draws nothing."""

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._logger, name)

    def plot_progress_png(self, output_folder: str) -> None:
        """Leave the figure as it is."""
