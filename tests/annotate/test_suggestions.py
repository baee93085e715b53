from pathlib import Path

import numpy as np
from annotate.phantom_campaign import TURNED, Kind, Person, phantom_campaign

from nnunet_sparse.annotate.suggestions import copied, interpolated, nearest_annotated_slice


def test_a_disc_between_two_discs(tmp_path: Path) -> None:
    """Half way between discs of radius 2 and 4 lies one of radius 3."""
    kind = Kind(axis=1, shape=(13, 5, 13), cases=("a",), asked=(0, 1, 2))
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    person = Person(campaign.folder, kind)
    y, x = np.indices((13, 13)) - 6
    radius = np.hypot(y, x)
    for index, size in ((0, 2.5), (2, 4.5)):
        person.session.visit(("a", index))
        person.paint((radius < size).astype(np.uint8))
        person.session.next()
    person.session.visit(("a", 1))
    volume = person.volume
    found = interpolated(volume, 1)
    assert found is not None
    assert found.dtype == volume.label.dtype
    assert (found[radius < 3] == 1).all()
    assert (found[radius > 4] == 0).all()
    assert nearest_annotated_slice(volume, 1) == 0
    np.testing.assert_array_equal(copied(volume, 1), radius < 2.5)


def test_spacing_is_that_of_the_slice(tmp_path: Path) -> None:
    kind = Kind(axis=1, affine=TURNED, cases=("a",))
    person = Person(phantom_campaign(tmp_path / "campaign", kind).folder, kind)
    z, y, x = np.linalg.norm(TURNED[:3, [2, 1, 0]], axis=0)
    np.testing.assert_allclose(person.volume.spacing_mm, (z, y, x), rtol=1e-6)
    np.testing.assert_allclose(person.volume.plane_spacing_mm, (z, x), rtol=1e-6)
