"""Plans and volumes for tests of the preprocessing, and nnU-Net's result for them."""

from typing import Any

import numpy as np
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_sparse.data.raw_dataset import RawDataset

CONFIGURATION = "3d_fullres"
RESAMPLING = "resample_data_or_seg_to_shape"


def make_plans(
    spacing: tuple[float, ...] = (2.0, 1.5, 1.0),
    scheme: str = "ZScoreNormalization",
    mask: bool = False,
    transpose: tuple[int, int, int] = (0, 1, 2),
    channels: int = 1,
) -> dict[str, Any]:
    """Plans whose spacing is that of ``write_volume`` unless told otherwise."""
    intensities = {"mean": 0.2, "std": 2.0, "percentile_00_5": -1.0, "percentile_99_5": 1.5}
    kwargs = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    return {
        "plans_name": "testPlans",
        "image_reader_writer": "SimpleITKIO",
        "label_manager": "LabelManager",
        "transpose_forward": list(transpose),
        "foreground_intensity_properties_per_channel": {
            str(c): intensities for c in range(channels)
        },
        "configurations": {
            CONFIGURATION: {
                "data_identifier": "testPlans_3d_fullres",
                "preprocessor_name": "DefaultPreprocessor",
                "patch_size": [8, 6, 6],
                "spacing": list(spacing),
                "normalization_schemes": [scheme] * channels,
                "use_mask_for_norm": [mask] * channels,
                "resampling_fn_data": RESAMPLING,
                "resampling_fn_seg": RESAMPLING,
                "resampling_fn_data_kwargs": kwargs,
                "resampling_fn_seg_kwargs": kwargs | {"is_seg": True, "order": 1},
                "architecture": {},
            }
        },
    }


def framed_image(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """An image with a frame of zeros, and zeros inside its bounding box."""
    image = np.zeros(shape, np.float32)
    inner = tuple(slice(1, n - 1) for n in shape)
    image[inner] = rng.normal(10, 3, image[inner].shape)
    image[:3, :3, :3] = 0
    return image


def nnunet_case(
    raw: RawDataset, case_id: str, plans: dict[str, Any], labelled: bool
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Image, label (or mask) and properties as nnU-Net preprocesses them."""
    case, manager = raw.training[case_id], PlansManager(plans)
    image, seg, properties = DefaultPreprocessor(verbose=False).run_case(
        [str(file) for file in case.images],
        str(case.label) if labelled else None,
        manager,
        manager.get_configuration(CONFIGURATION),
        raw.dataset_json,
    )
    return image, seg, properties
