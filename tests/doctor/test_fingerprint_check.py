import numpy as np
import pytest

from nnunet_sparse.doctor.fingerprint_check import check_fingerprint

RNG = np.random.default_rng(0)
ORGAN = RNG.normal(100, 20, (1, 4000))
# half of the voxels are air
WITH_IGNORED = np.concatenate([ORGAN, RNG.normal(-900, 50, (1, 4000))], axis=1)


def held(intensities):
    low, high = np.percentile(intensities, (0.5, 99.5))
    return {
        "0": {
            "mean": intensities.mean(),
            "std": intensities.std(),
            "percentile_00_5": low,
            "percentile_99_5": high,
        }
    }


def check(values, scheme="CTNormalization"):
    return check_fingerprint(held(values), ORGAN, WITH_IGNORED, [scheme], "plans")


def test_intensities_of_the_annotated_foreground():
    finding = check(RNG.normal(100.3, 20, 4000))
    assert finding.verdict == "ok"
    assert finding.stock == pytest.approx(500 / 20, rel=0.05)


def test_intensities_with_ignored_voxels():
    finding = check(WITH_IGNORED)
    assert finding.verdict == "broken"
    assert finding.number == pytest.approx(500 / 20, rel=0.05)
    assert check(WITH_IGNORED, "ZScoreNormalization").verdict == "warning"


def test_a_few_ignored_voxels_are_enough():
    mixed = np.concatenate([ORGAN[0], np.full(40, -900)])
    assert check(mixed).verdict == "broken"


@pytest.mark.parametrize(("mean", "verdict"), [(105, "ok"), (150, "warning")])
def test_intensities_of_other_images(mean, verdict):
    assert check(RNG.normal(mean, 20, 4000)).verdict == verdict


def test_channels_are_told_by_their_number():
    content = {str(n): held(ORGAN + n)["0"] for n in range(11)}
    by_text = {key: content[key] for key in sorted(content)}
    own = np.concatenate([ORGAN + n for n in range(11)])
    finding = check_fingerprint(by_text, own, own, [], "plans")
    assert {c["mean_shift"] for c in finding.details["channels"].values()} == {0.0}


def test_no_foreground_at_all():
    empty = np.zeros((1, 0))
    assert check_fingerprint(held(ORGAN), empty, empty, [], "plans").verdict == "ok"
