"""Transforms of patches that lie on the device of the training.

Most of nnU-Net's work where the tensors lie. Of the others that its trainers and the recipes use
there are versions here, and what is neither is refused.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
from batchgeneratorsv2.transforms.intensity.contrast import ContrastTransform
from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform, _build_kernel
from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import (
    DownsampleSegForDSTransform,
)
from batchgeneratorsv2.transforms.utils.nnunet_masking import MaskImageTransform
from batchgeneratorsv2.transforms.utils.pseudo2d import (
    Convert2DTo3DTransform,
    Convert3DTo2DTransform,
)
from batchgeneratorsv2.transforms.utils.random import OneOfTransform, RandomTransform
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTransform
from batchgeneratorsv2.transforms.utils.seg_to_regions import ConvertSegmentationToRegionsTransform

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.training.augmentation import (
    AnnotatedTargets,
    ResolvePadding,
    split_targets,
    stacked_targets,
)
from nnunet_sparse.training.bias_field import BiasFieldTransform
from nnunet_sparse.training.spatial_transform import DeviceSpatialTransform, LikeStock

# they make no tensors of their own, or make them where the image lies
_ANYWHERE = (
    BiasFieldTransform,
    ContrastTransform,
    Convert2DTo3DTransform,
    Convert3DTo2DTransform,
    DeviceSpatialTransform,
    DownsampleSegForDSTransform,
    GammaTransform,
    GaussianNoiseTransform,
    MaskImageTransform,
    MirrorTransform,
    MultiplicativeBrightnessTransform,
    RemoveLabelTransform,
    ResolvePadding,
    SimulateLowResolutionTransform,
)


def on_device(transforms: ComposeTransforms, device: torch.device) -> ComposeTransforms:
    """Transforms that do the same to patches on a device.

    Parameters
    ----------
    transforms
        Of a trainer, for training or validation.
    device
        Where the patches will lie.

    Raises
    ------
    SparseError
        If one of them is not known to work there.
    """
    return ComposeTransforms([_on_device(inner, device) for inner in transforms.transforms])


def _on_device(transform: BasicTransform, device: torch.device) -> BasicTransform:
    # types are compared, since a class that derives from one may do anything
    kind = type(transform)
    if kind in _REPLACED:
        return _REPLACED[kind](transform, device)
    if kind in _ANYWHERE or issubclass(kind, DeviceSpatialTransform):
        return transform
    raise _unknown(kind.__name__)


def _unknown(what: str) -> SparseError:
    return SparseError(
        f"augmentation_on=device does not know whether {what} works on a device: set "
        "augmentation_on=workers"
    )


# how labels are resampled by DeviceSpatialTransform; nnU-Net's trainers have these values
_OF_LABELS = {"mode_seg": "bilinear", "border_mode_seg": "constant", "seg_tiebreak": "nearest"}


def _spatial_on(stock: SpatialTransform, _: torch.device) -> DeviceSpatialTransform:
    # nearest labels are sampled by nnU-Net's own code
    for name, value in _OF_LABELS.items() if stock.mode_seg != "nearest" else ():
        if (found := getattr(stock, name)) != value:
            raise _unknown(f"SpatialTransform with {name}={found}")
    return DeviceSpatialTransform.like(stock)


def _regions_on(
    stock: ConvertSegmentationToRegionsTransform, device: torch.device
) -> ConvertSegmentationToRegionsTransform:
    new = ConvertSegmentationToRegionsTransform([0], stock.channel_in_seg)
    new.regions = [labels.to(device) for labels in stock.regions]
    return new


class DeviceBlurTransform(LikeStock, GaussianBlurTransform):  # type: ignore[misc]
    """nnU-Net's Gaussian blur, with its kernels where the image lies."""

    def _apply_to_image(self, img: torch.Tensor, **params: Any) -> torch.Tensor:
        chosen = params["apply_to_channel"].nonzero()[:, 0].tolist()
        same = self.synchronize_channels
        for number, channel in enumerate(chosen):
            sigmas = params["sigmas"] if same else params["sigmas"][number]
            img[channel] = _blurred(img[channel], sigmas)
        return img


# what nnU-Net's blur uses
_TRUNCATE = 6


def _blurred(image: torch.Tensor, sigmas: Sequence[float]) -> torch.Tensor:
    """One channel (z, y, x) or (y, x), blurred along each axis."""
    dimensions = image.ndim
    convolve = {2: torch.nn.functional.conv2d, 3: torch.nn.functional.conv3d}[dimensions]
    blurred = image[None]
    for axis, sigma in enumerate(sigmas):
        kernel = _build_kernel(sigma, truncate=_TRUNCATE).to(image.device)
        shape = [-1 if other == axis else 1 for other in range(dimensions)]
        pads = [0] * 2 * dimensions
        place = 2 * (dimensions - 1 - axis)
        pads[place : place + 2] = [len(kernel) // 2] * 2
        padded = torch.nn.functional.pad(blurred, pads, mode="reflect")
        blurred = convolve(padded[None], kernel.view(1, 1, *shape))[0]
    return blurred[0]


_REPLACED: dict[type, Callable[[Any, torch.device], BasicTransform]] = {
    ComposeTransforms: on_device,
    RandomTransform: lambda stock, device: RandomTransform(
        _on_device(stock.transform, device), stock.apply_probability
    ),
    OneOfTransform: lambda stock, device: OneOfTransform(
        [_on_device(one, device) for one in stock.list_of_transforms]
    ),
    SpatialTransform: _spatial_on,
    GaussianBlurTransform: lambda stock, _: DeviceBlurTransform.like(stock),
    ConvertSegmentationToRegionsTransform: _regions_on,
    AnnotatedTargets: lambda stock, device: AnnotatedTargets(
        stock.scales,
        stock.ignore_label,
        None if stock.regions is None else _regions_on(stock.regions, device),
    ),
}


class DeviceAugmentation:
    """What is done on the device to batches that were read and cut out by other processes.

    Each sample gets parameters of its own, from the global generators of numpy and torch.

    Parameters
    ----------
    transforms
        Of one sample; as nnU-Net's trainer has them for its loaders.
    device
        Where they run.

    Raises
    ------
    SparseError
        If one of the transforms is not known to work there.
    """

    def __init__(self, transforms: ComposeTransforms, device: torch.device) -> None:
        self.device = device
        self.transforms, self.batch_targets = split_targets(on_device(transforms, device))

    @torch.no_grad()
    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Augment a batch.

        Parameters
        ----------
        batch
            ``data``, (batch, channel, *initial patch), float32, ``target``, (batch, 1, *initial
            patch), int16, and whatever else.

        Returns
        -------
        dict
            The batch on the device with ``data`` of the network's patch size, and ``target`` as
            nnU-Net's loaders return it: a tensor, or one for each output of the network.
        """
        patches = batch["data"].to(self.device, non_blocking=True)
        labels = batch["target"].to(self.device, non_blocking=True)
        images, targets = [], []
        for image, label in zip(patches, labels, strict=True):
            done = self.transforms(image=image, segmentation=label)
            images.append(done["image"])
            targets.append(done["segmentation"])
        target = stacked_targets(targets, self.batch_targets)
        return batch | {"data": torch.stack(images), "target": target}
