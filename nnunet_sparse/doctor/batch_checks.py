"""Checks of sampled batches: padding, where labels stand in the patch, and the coarse outputs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from nnunet_sparse.doctor.check import check
from nnunet_sparse.doctor.finding import Finding, Verdict
from nnunet_sparse.doctor.patch import Patch

MAX_PADDING = 0.5
MIN_OFFSETS = 0.5
BROKEN_LEVEL = 0.05
MIN_LEVEL = 0.5


@dataclass(frozen=True)
class BatchFacts:
    """Sums over the patches of sampled batches.

    Attributes
    ----------
    num_patches
        Number of patches.
    num_straight
        Of these, neither rotated nor scaled. The following is about them: nnU-Net rotates or scales
        about a third, and a tilted plane touches everything.
    depth_counts
        For every position along the first axis, the number of patches annotated there; annotated
        means inside the image.
    level_shares
        For every output, the share of patches with an annotated voxel.
    all_level_shares
        The same with rotated and scaled patches.
    num_supervised, num_padding
        Voxels with a target in all patches, and those of them outside the image.
    """

    num_patches: int
    num_straight: int
    depth_counts: np.ndarray
    level_shares: tuple[float, ...]
    all_level_shares: tuple[float, ...]
    num_supervised: int
    num_padding: int

    @property
    def padding(self) -> float:
        """Share of the supervised voxels that lie outside the image."""
        return self.num_padding / self.num_supervised if self.num_supervised else 0.0

    @property
    def offsets(self) -> float:
        """Share of the positions along the first axis that ever carry a label."""
        return float((self.depth_counts > 0).mean())

    @property
    def expected_offsets(self) -> float:
        """The same if labels stood anywhere: the more patches were drawn, the closer to 1."""
        depth = len(self.depth_counts)
        return float(1 - (1 - 1 / depth) ** self.depth_counts.sum())


def count_patches(patches: Iterable[Patch]) -> BatchFacts:
    """Count what is annotated in patches, at least one."""
    depths: list[np.ndarray] = []
    levels: list[list[bool]] = []
    straight: list[bool] = []
    supervised = padding = 0
    for patch in patches:
        has_target = patch.targets[0] >= 0
        supervised += int(has_target.sum())
        padding += int((has_target & patch.is_outside).sum())
        annotated = patch.annotated(0)
        depths.append(np.any(annotated.reshape(len(annotated), -1), axis=1))
        levels.append([bool(patch.annotated(level).any()) for level in range(len(patch.targets))])
        straight.append(patch.is_straight)
    # a handful of patches may all be rotated
    chosen = np.array(straight) if any(straight) else np.ones(len(straight), bool)
    return BatchFacts(
        num_patches=len(straight),
        num_straight=int(chosen.sum()),
        depth_counts=np.array(depths)[chosen].sum(axis=0),
        level_shares=tuple(float(x) for x in np.array(levels)[chosen].mean(axis=0)),
        all_level_shares=tuple(float(x) for x in np.array(levels).mean(axis=0)),
        num_supervised=supervised,
        num_padding=padding,
    )


@check
def check_padding(batches: BatchFacts, stock_batches: BatchFacts, configuration: str) -> Finding:
    """Share of padding among the voxels that the loss sees."""
    wrong = batches.padding > MAX_PADDING
    return Finding(
        check="padding",
        verdict="warning" if wrong else "ok",
        number=batches.padding,
        found=f"{100 * batches.padding:.1f} % of the supervised voxels of {batches.num_patches} "
        "patches lie outside the image and are trained as background",
        advice="choose smaller patches (nnsparse_plan_and_preprocess limits them to the image), "
        "placement=inside or padding=ignore"
        if wrong
        else "",
        stock=stock_batches.padding,
        configuration=configuration,
        details={
            "num_patches": batches.num_patches,
            "stock_num_patches": stock_batches.num_patches,
        },
    )


@check
def check_offsets(
    batches: BatchFacts, stock_batches: BatchFacts, configuration: str, dimensions: int = 3
) -> Finding | None:
    """Share of the positions along the first patch axis that ever carry a label, in 3d."""
    if dimensions != 3:
        return None
    wrong = batches.offsets < MIN_OFFSETS * batches.expected_offsets
    depth = len(batches.depth_counts)
    return Finding(
        check="depth offsets",
        verdict="warning" if wrong else "ok",
        number=batches.offsets,
        found=f"{int((batches.depth_counts > 0).sum())} of {depth} positions along the first patch "
        f"axis carry a label in {batches.num_straight} patches that are not rotated or scaled "
        f"(nnU-Net: {int((stock_batches.depth_counts > 0).sum())})",
        advice="elsewhere in the patch the network is never told anything about the image: "
        "train with SparseTrainer; if you do, plan patches of fewer slices than the images have, "
        "annotate other slices in other cases (selector random), or set placement=anywhere, which "
        "shows more padding"
        if wrong
        else "",
        stock=stock_batches.offsets,
        configuration=configuration,
        details={
            "expected": batches.expected_offsets,
            "patches_per_offset": [int(n) for n in batches.depth_counts],
            "stock_patches_per_offset": [int(n) for n in stock_batches.depth_counts],
        },
    )


@check
def check_levels(
    batches: BatchFacts,
    level_weights: Sequence[float],
    stock_batches: BatchFacts,
    stock_level_weights: Sequence[float],
    configuration: str,
) -> Finding:
    """Share of patches that show the outputs of deep supervision a label; the worst output's."""
    shares = _weighted(batches.level_shares, level_weights)
    stock_shares = _weighted(stock_batches.level_shares, stock_level_weights)
    worst = min(shares.values())
    verdict: Verdict = "ok"
    if worst < MIN_LEVEL:
        verdict = "broken" if worst < BROKEN_LEVEL else "warning"
    # coarser outputs cannot see more than the patch does
    advice = "train with SparseTrainer and targets=annotated: these outputs hardly ever see a label"
    if batches.level_shares[0] < MIN_LEVEL:
        advice = "train with SparseTrainer: too many patches are drawn where nothing is annotated"
    listed = ", ".join(f"{100 * share:.0f} %" for share in shares.values())
    stock_listed = ", ".join(f"{100 * share:.0f} %" for share in stock_shares.values())
    return Finding(
        check="deep supervision",
        verdict=verdict,
        number=worst,
        found=f"patches (not rotated or scaled) with a label at each output, from full resolution "
        f"down: {listed} (nnU-Net: {stock_listed})",
        advice="" if verdict == "ok" else advice,
        stock=min(stock_shares.values()),
        configuration=configuration,
        details={
            "outputs": list(shares.values()),
            "outputs_with_rotation": list(
                _weighted(batches.all_level_shares, level_weights).values()
            ),
            "stock_outputs": list(stock_shares.values()),
            "stock_outputs_with_rotation": list(
                _weighted(stock_batches.all_level_shares, stock_level_weights).values()
            ),
        },
    )


def _weighted(shares: Sequence[float], weights: Sequence[float]) -> dict[int, float]:
    """Shares of the outputs that count in the loss."""
    return {
        level: share
        for level, (share, weight) in enumerate(zip(shares, weights, strict=False))
        if weight
    }
