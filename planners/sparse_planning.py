"""What all planners of ours do alike, whatever network they plan."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnunet_sparse.data.slice_axis import read_slice_axis
from nnunet_sparse.planners.patch_limit import largest_patch
from nnunet_sparse.training.settings import BLOCK, TrainingSettings

_MAX_ATTEMPTS = 5


class SparsePlanning:
    """Slice axis first, patches that fit into the images, and a block of training settings.

    To be mixed into nnU-Net's ``ExperimentPlanner`` or a subclass of it.

    The 2d configuration of nnU-Net cuts volumes along the first axis of the transposed array. For a
    sparse data set this must be the axis of the annotated slices, which its ``selection.json``
    names; other data sets are transposed as nnU-Net does.

    Where nnU-Net's patch would be longer than the median image along an axis, it is planned anew
    for the largest patch that fits, so that little padding is needed; the network and the batch
    size follow from that patch.
    """

    settings = TrainingSettings()

    def determine_transpose(self) -> tuple[list[int], list[int]]:
        """Order of the axes that puts the slice axis first, and its inverse."""
        planner: Any = self
        axis = read_slice_axis(Path(planner.raw_dataset_folder))
        if axis is None or planner.suppress_transpose:
            return super().determine_transpose()  # type: ignore[misc,no-any-return]
        forward = [axis, *(other for other in range(3) if other != axis)]
        return forward, [forward.index(position) for position in range(3)]

    def generate_data_identifier(self, configuration_name: str) -> str:
        """Name of the preprocessed data: never that of nnU-Net's own."""
        planner: Any = self
        return f"{planner.plans_identifier}_{configuration_name}"

    def get_plans_for_configuration(
        self,
        spacing: Sequence[float],
        median_shape: Sequence[float],
        *args: Any,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """nnU-Net's plan of one configuration within the images, with our settings.

        Parameters
        ----------
        spacing
            Voxel spacing in mm, two or three axes.
        median_shape
            Size of the median image in voxels.
        *args, **kwargs
            What nnU-Net's planner takes besides.
        """
        planner: Any = super()
        image = [float(side) for side in median_shape[: len(spacing)]]
        plan: dict[str, Any] = planner.get_plans_for_configuration(
            spacing, median_shape, *args, **kwargs
        )
        for _ in range(_MAX_ATTEMPTS):
            if all(p <= max(1, m) for p, m in zip(plan["patch_size"], image, strict=True)):
                break
            size = largest_patch(
                spacing,
                plan["patch_size"],
                image,
                self.UNet_featuremap_min_edge_length,  # type: ignore[attr-defined]
            )
            plan = planner.get_plans_for_configuration(spacing, size, *args, **kwargs)
        return plan | {
            "median_image_size_in_voxels": median_shape,
            BLOCK: self.settings.to_block(),
        }
