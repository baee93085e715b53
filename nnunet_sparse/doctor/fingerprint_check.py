"""Whether the intensities in the plans are those of the annotated foreground.

nnU-Net's fingerprint takes every label above 0 for foreground, the ignore label included, so that
CT images are clipped and scaled by the intensities of the background.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnunet_sparse.data.plans_configuration import SCHEMES_WITHOUT_INTENSITIES
from nnunet_sparse.doctor.check import check
from nnunet_sparse.doctor.finding import Finding

MAX_MEAN_SHIFT = 0.05
MAX_WIDTH_CHANGE = 0.1
# data sets may share plans: intensities that differ from the own ones need not be wrong
MAX_FOREIGN_MEAN_SHIFT = 0.5
MAX_FOREIGN_WIDTH_CHANGE = 0.5


@check
def check_fingerprint(
    held_intensities: Mapping[str, Mapping[str, float]],
    annotated_intensities: np.ndarray,
    stock_intensities: np.ndarray,
    schemes: Sequence[str],
    intensities_source: str,
    is_interpolated: bool = False,
) -> Finding:
    """Compare intensities that plans hold with those of the annotated foreground.

    Parameters
    ----------
    held_intensities
        ``foreground_intensity_properties_per_channel``.
    annotated_intensities
        (channel, n) intensities of annotated foreground voxels.
    stock_intensities
        (channel, m) intensities of what nnU-Net takes for foreground, ignored voxels included.
    schemes
        Normalisation of each channel; empty if it is not known.
    intensities_source
        Where the values stand, for the message.
    is_interpolated
        Whether labels were interpolated: their errors hold what lies around the objects, and values
        that are far from them need not be those of other images.

    Returns
    -------
    Finding
        Its number is the largest distance of a channel's mean from the annotated voxels' mean, in
        their standard deviations. A channel is contaminated if it differs by more than
        MAX_MEAN_SHIFT, or its clip range in width by more than MAX_WIDTH_CHANGE, and lies closer
        to the intensities with ignored voxels than to those without (both together, or one of them
        that is off by more than MAX_FOREIGN_MEAN_SHIFT or MAX_FOREIGN_WIDTH_CHANGE): broken where
        the channel is normalised with them, else a warning. Values that are neither, but far from
        the annotated ones, are a warning where they are used.
    """
    if annotated_intensities.shape[1] == 0:
        return Finding(
            check="fingerprint",
            verdict="ok",
            number=0.0,
            found="no annotated foreground voxel to compare the fingerprint with",
        )
    channels: dict[str, dict[str, Any]] = {}
    for number, key in enumerate(sorted(held_intensities, key=int)):
        own = _properties(annotated_intensities[number])
        with_ignored = _properties(stock_intensities[number])
        values = {name: held_intensities[key].get(name) for name in own}
        if any(value is None for value in values.values()):
            continue
        mean, width = _distance(values, own)
        stock_mean, stock_width = _distance(with_ignored, own)
        to_stock = _distance(values, with_ignored, own["std"])
        foreign = mean > MAX_FOREIGN_MEAN_SHIFT, width > MAX_FOREIGN_WIDTH_CHANGE
        differs = mean > MAX_MEAN_SHIFT or width > MAX_WIDTH_CHANGE
        # a few ignored voxels stretch the clip range long before they move the mean
        closer = (
            sum(to_stock) < mean + width
            or (foreign[0] and to_stock[0] < mean)
            or (foreign[1] and to_stock[1] < width)
        )
        channels[key] = {
            "mean_shift": mean,
            "clip_width_change": width,
            "stock_mean_shift": stock_mean,
            "stock_clip_width_change": stock_width,
            "contaminated": differs and closer,
            "foreign": any(foreign),
            "used": number >= len(schemes) or schemes[number] not in SCHEMES_WITHOUT_INTENSITIES,
            "held": values,
            "annotated": own,
        }
    return _finding(channels, intensities_source, is_interpolated)


def is_intensities(held: Any) -> bool:
    """Whether this is a mapping of channels 0, 1 ... to named numbers."""
    return (
        isinstance(held, Mapping)
        and set(held) == {str(number) for number in range(len(held))}
        and all(
            isinstance(values, Mapping)
            and all(value is None or isinstance(value, int | float) for value in values.values())
            for values in held.values()
        )
    )


def _finding(channels: Mapping[str, Mapping[str, Any]], source: str, interpolated: bool) -> Finding:
    contaminated = [key for key, c in channels.items() if c["contaminated"]]
    used = [key for key in contaminated if channels[key]["used"]]
    foreign = [k for k, c in channels.items() if c["foreign"] and c["used"] and k not in used]
    if interpolated:
        # wrong labels hold what is around the objects
        foreign = []
    worst = max(channels, key=lambda key: float(channels[key]["mean_shift"]), default=None)
    if worst is None:
        return Finding("fingerprint", "ok", 0.0, f"{source} holds no foreground intensities")
    shown = (used or contaminated or foreign or [worst])[0]
    one = channels[shown]
    found = (
        f"channel {shown}: mean {one['held']['mean']:.4g}, clip range "
        f"[{one['held']['percentile_00_5']:.4g}, {one['held']['percentile_99_5']:.4g}] "
        f"in {source}; "
        f"annotated foreground has mean {one['annotated']['mean']:.4g}, "
        f"[{one['annotated']['percentile_00_5']:.4g}, {one['annotated']['percentile_99_5']:.4g}]"
    )
    advice = ""
    if contaminated:
        advice = (
            "ignored voxels were counted as foreground: plan and preprocess with "
            "nnsparse_plan_and_preprocess"
        )
        if not used:
            advice += " (no channel is normalised with these values, so the training is not harmed)"
    elif foreign:
        advice = (
            "the plans seem to be made for other images: take a fingerprint of this data set, "
            "or normalise by z-score"
        )
    verdict = "broken" if used else "warning" if contaminated or foreign else "ok"
    return Finding(
        check="fingerprint",
        verdict=verdict,  # type: ignore[arg-type]
        number=float(one["mean_shift"]),
        unit="SD",
        found=found,
        advice=advice,
        stock=float(one["stock_mean_shift"]),
        details={"channels": channels},
    )


def _properties(intensities: np.ndarray) -> dict[str, float]:
    low, high = np.percentile(intensities, (0.5, 99.5))
    return {
        "mean": float(intensities.mean(dtype=np.float64)),
        "std": float(intensities.std(dtype=np.float64)),
        "percentile_00_5": float(low),
        "percentile_99_5": float(high),
    }


def _distance(
    one: Mapping[str, Any], other: Mapping[str, Any], std: float | None = None
) -> tuple[float, float]:
    """Distance of the means in standard deviations, and of the clip widths as a log ratio."""
    scale = max(other["std"] if std is None else std, 1e-8)
    widths = [max(v["percentile_99_5"] - v["percentile_00_5"], 1e-8) for v in (one, other)]
    mean = abs(one["mean"] - other["mean"]) / scale
    return float(mean), float(abs(np.log(widths[0] / widths[1])))
