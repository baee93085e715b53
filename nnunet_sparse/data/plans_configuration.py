"""A configuration in nnU-Net's plans, and what of it decides how cases are preprocessed.

Plans are nnU-Net's dictionaries, as JSON gives them back: lists, no tuples.
"""

from typing import Any

from nnunet_sparse.system.errors import SparseError

Plans = dict[str, Any]

INTENSITIES = "foreground_intensity_properties_per_channel"
# they look at the image alone, so that plans made on different cases normalise alike
SCHEMES_WITHOUT_INTENSITIES = frozenset(
    {
        "ZScoreNormalization",
        "NoNormalization",
        "RescaleTo01Normalization",
        "RGBTo01Normalization",
    }
)

# what the preprocessed images and labels of a configuration depend on
IMAGE_FIELDS = (
    "preprocessor_name",
    "spacing",
    "normalization_schemes",
    "use_mask_for_norm",
    "resampling_fn_data",
    "resampling_fn_data_kwargs",
)
LABEL_FIELDS = ("resampling_fn_seg", "resampling_fn_seg_kwargs")


class InheritanceError(SparseError):
    """A configuration inherits from one that there is not, or from itself.

    Attributes
    ----------
    heir, parent
        Names of the configurations.
    """

    def __init__(self, message: str, heir: str = "", parent: str = "") -> None:
        super().__init__(message)
        self.heir = heir
        self.parent = parent


def configuration_of(plans: Plans, name: str) -> dict[str, Any]:
    """A configuration with what it inherits from others.

    Raises
    ------
    InheritanceError
        If it inherits from a configuration that there is not, or from itself.
    """
    configurations: dict[str, dict[str, Any]] = plans["configurations"]
    lineage, resolved = [name], configurations[name]
    while parent := configurations[lineage[-1]].get("inherits_from"):
        if parent in lineage or parent not in configurations:
            raise InheritanceError(
                f"plans {plans['plans_name']}: configuration {lineage[-1]!r} cannot inherit from "
                f"{parent!r} (there are {', '.join(configurations)})",
                lineage[-1],
                parent,
            )
        lineage.append(parent)
        resolved = configurations[parent] | resolved
    return resolved
