"""Loss functions that leave out the voxels that nobody annotated.

All take logits (batch, num_classes, *patch) and the target of nnU-Net's data loaders (batch, 1,
*patch), whose values are classes or ``ignore_label``. Each is what the usual loss is on the
annotated voxels alone: the others change neither its value nor any gradient. Losses are computed in
float32, whatever the logits are. A batch without annotated voxels costs 0.

Sides of the target may be whole multiples of those of the logits. Each logit is then compared with
the label of the one voxel nearest to its centre (the last one of several that are equally near), or
with none if that voxel is not annotated: labels are never mixed.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from nnunet_sparse.training.recipe import LOSSES


class MaskedCrossEntropy(nn.Module):
    """Cross entropy of the annotated voxels, weighted by class.

    As in torch, the mean is weighted: the sum of all voxels' losses, each times the weight of its
    class, is divided by the sum of these weights.

    Parameters
    ----------
    ignore_label
        Target of voxels that are not annotated; None if all are.
    class_weights
        One weight for each class; None for equal weights.
    """

    def __init__(
        self, ignore_label: int | None, class_weights: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        self.ignore_label = ignore_label
        weights = None if class_weights is None else torch.tensor(class_weights)
        self.weights: torch.Tensor | None
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of a batch, a scalar."""
        classes, annotated = _classes(_shrunk(target, logits), self.ignore_label)
        losses = F.cross_entropy(logits.float(), classes, reduction="none")
        weights = annotated.float()
        if self.weights is not None:
            weights = weights * self.weights.to(logits.device)[classes]
        return _weighted_mean(losses, weights)


class MaskedFocal(nn.Module):
    """Focal loss of the annotated voxels (Lin et al. 2017, eq. 4, without class weights).

    The paper names "Focal Loss" and no form of it. This project assumes that the probability of a
    voxel's class is that of the softmax, that the exponent is 2, that there are no class weights,
    and that the loss is the mean over voxels. MONAI's
    ``FocalLoss(use_softmax=True)`` divides by the number of classes too, and its default is a
    sigmoid of each class.

    Parameters
    ----------
    ignore_label
        Target of voxels that are not annotated; None if all are.
    gamma
        Exponent of the modulating factor; 0 gives the cross entropy.
    """

    def __init__(self, ignore_label: int | None, gamma: float = 2.0) -> None:
        super().__init__()
        self.ignore_label = ignore_label
        self.gamma = gamma

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of a batch, a scalar."""
        classes, annotated = _classes(_shrunk(target, logits), self.ignore_label)
        losses = F.cross_entropy(logits.float(), classes, reduction="none")
        # 1 - p from the logarithm: exact where p is nearly 1
        modulated = (-torch.expm1(-losses)).clamp_min(0) ** self.gamma * losses
        return _weighted_mean(modulated, annotated.float())


class MaskedSoftDice(nn.Module):
    """One minus the soft Dice of the annotated voxels, mean over samples and foreground classes.

    Dice = (2 I + smooth) / (P + T + smooth) for each sample and class, where I, P and T are sums
    over the sample's annotated voxels of probability times target, probability, and target. A
    sample without annotated voxels has a Dice of 1.

    Parameters
    ----------
    ignore_label
        Target of voxels that are not annotated; None if all are.
    smooth
        In voxels.
    """

    def __init__(self, ignore_label: int | None, smooth: float = 1e-5) -> None:
        super().__init__()
        self.ignore_label = ignore_label
        self.smooth = smooth

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of a batch, a scalar."""
        classes, annotated = _classes(_shrunk(target, logits), self.ignore_label)
        probabilities = torch.softmax(logits.float(), 1)[:, 1:]  # [B, C - 1, *]
        axes = tuple(range(2, logits.ndim))
        expected = (classes[:, None] == _column(probabilities)) & annotated[:, None]
        shown = probabilities * annotated[:, None]
        intersection = (shown * expected).sum(axes)
        total = shown.sum(axes) + expected.sum(axes)
        dice = (2 * intersection + self.smooth) / (total + self.smooth)
        return 1 - dice.mean()


class SumOfLosses(nn.Module):
    """Sum of loss functions, each with weight 1."""

    def __init__(self, *terms: nn.Module) -> None:
        super().__init__()
        self.terms = nn.ModuleList(terms)

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of a batch, a scalar."""
        return torch.stack([term(logits, target) for term in self.terms]).sum()


def build_loss(
    name: str,
    ignore_label: int | None,
    *,
    class_weights: Sequence[float] | None = None,
    smooth: float = 1e-5,
    gamma: float = 2.0,
) -> nn.Module:
    """Loss function of a recipe.

    Parameters
    ----------
    name
        One of ``LOSSES``: terms, joined by ``_``, that are summed. ``ce``: cross entropy;
        ``dice``: soft Dice; ``focal``: focal loss.
    ignore_label
        Target of voxels that are not annotated; None if all are.
    class_weights
        Weights of the cross entropy, one for each class.
    smooth, gamma
        Of the Dice and of the focal loss.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {name!r}")
    terms: dict[str, Callable[[], nn.Module]] = {
        "ce": partial(MaskedCrossEntropy, ignore_label, class_weights),
        "dice": partial(MaskedSoftDice, ignore_label, smooth),
        "focal": partial(MaskedFocal, ignore_label, gamma),
    }
    chosen = [terms[term]() for term in name.split("_")]
    return chosen[0] if len(chosen) == 1 else SumOfLosses(*chosen)


def _shrunk(target: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Every n-th voxel of a target that is n times as large as the logits."""
    sides = list(zip(target.shape[2:], logits.shape[2:], strict=True))
    if any(fine % coarse for fine, coarse in sides):
        raise ValueError(
            f"a target of {tuple(target.shape[2:])} is no multiple of logits of "
            f"{tuple(logits.shape[2:])}"
        )
    for axis, (fine, coarse) in enumerate(sides, start=2):
        step = fine // coarse
        if step > 1:
            nearest = torch.arange(step // 2, fine, step, device=target.device)
            target = target.index_select(axis, nearest)
    return target


def _classes(target: torch.Tensor, ignore_label: int | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Class of every voxel, 0 where it is unknown, and whether it is annotated: (batch, *patch)."""
    classes = target[:, 0].long()
    if ignore_label is None:
        return classes, torch.ones_like(classes, dtype=torch.bool)
    annotated = classes != ignore_label
    return torch.where(annotated, classes, 0), annotated


def _column(probabilities: torch.Tensor) -> torch.Tensor:
    """Foreground classes 1, 2, ... along the axis of classes."""
    numbers = torch.arange(1, probabilities.shape[1] + 1, device=probabilities.device)
    return numbers.view(1, -1, *[1] * (probabilities.ndim - 2))


def _weighted_mean(losses: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean of the losses whose weight is above 0; 0 if there is none."""
    # a voxel that does not count must not turn 0 times infinity into NaN
    counted = torch.where(weights > 0, losses * weights, 0)
    total = weights.sum()
    return counted.sum() / torch.where(total > 0, total, 1)
