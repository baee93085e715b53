"""What there is to annotate in data sets, and the time that it takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from nnunet_sparse.system.schema import not_negative, setting, share, whole

_TOUCHING = np.ones((3, 3), bool)


@dataclass(frozen=True)
class AnnotationCost:
    """Seconds that an annotator needs.

    Attributes
    ----------
    seconds_per_empty_slice
        For a slice without object.
    seconds_per_slice
        For a slice with objects, besides those.
    seconds_per_object
        For each object of a slice: pixels of one label that touch each other.
    seconds_per_volume
        For opening a volume.
    neighbour_saving
        Share of ``seconds_per_slice`` that is saved right beside a slice that shows objects too and
        was annotated before; see :meth:`saved_share`.
    neighbour_range
        Distance in slices up to which something is saved.
    """

    seconds_per_empty_slice: float = setting(0.0, not_negative())
    seconds_per_slice: float = setting(0.0, not_negative())
    seconds_per_object: float = setting(0.0, not_negative())
    seconds_per_volume: float = setting(0.0, not_negative())
    neighbour_saving: float = setting(0.0, share())
    neighbour_range: int = setting(1, whole(1))

    def saved_share(self, distance: int) -> float:
        """Share of ``seconds_per_slice`` that a slice near an annotated one saves.

        Zhang et al. (later version, section 5) name it as a limit of theirs that "multiple slices
        are likely to capture the [same] object, reducing the time needed for the annotation to
        localized the object"; the form is this project's: from ``neighbour_saving`` right beside
        it the share falls linearly, to 0 beyond ``neighbour_range``.

        Parameters
        ----------
        distance
            To the slice with objects that was annotated before, in slices; 1 is right beside.
        """
        return self.neighbour_saving * max(0.0, 1 - (distance - 1) / self.neighbour_range)


@dataclass(frozen=True)
class Effort:
    """What there is to annotate in a data set.

    Attributes
    ----------
    volumes
        Volumes with annotated slices.
    empty, slices
        Annotated slices without and with objects.
    objects
        Objects in them.
    distances
        Item k: slices with objects, annotated in ascending order, that lie k + 1 slices behind the
        last one with objects of their volume; the first one of a volume is not among them. None
        where it was not counted.
    """

    volumes: int
    empty: int
    slices: int
    objects: int
    distances: Sequence[int] | None = None

    def __add__(self, other: "Effort") -> "Effort":
        """What there is in both."""
        if self.distances is None or other.distances is None:
            distances = None
        else:
            pairs = zip_longest(self.distances, other.distances, fillvalue=0)
            distances = tuple(map(sum, pairs))
        return Effort(
            self.volumes + other.volumes,
            self.empty + other.empty,
            self.slices + other.slices,
            self.objects + other.objects,
            distances,
        )

    def hours(self, cost: AnnotationCost) -> float:
        """Time that it takes.

        Raises
        ------
        ValueError
            If neighbours save time and distances were not counted.
        """
        if cost.neighbour_saving and self.distances is None:
            raise ValueError("distances between annotated slices were not counted")
        saved = sum(
            number * cost.saved_share(distance)
            for distance, number in enumerate(self.distances or (), 1)
        )
        seconds = (
            self.volumes * cost.seconds_per_volume
            + self.empty * cost.seconds_per_empty_slice
            + (self.slices - saved) * cost.seconds_per_slice
            + self.objects * cost.seconds_per_object
        )
        return seconds / 3600


def effort_of(label: np.ndarray, indices: Sequence[int]) -> Effort:
    """What there is to annotate in a volume.

    Parameters
    ----------
    label
        (slices, y, x), dense.
    indices
        Slices that are annotated.
    """
    numbers = {i: count_objects(label[i]) for i in sorted(indices)}
    shown = [i for i, number in numbers.items() if number]
    # item 0 would be slices at distance 0; without objects there is nothing to tell the type from
    distances = tuple(np.bincount(np.diff(np.array(shown, int)))[1:].tolist())
    return Effort(1, len(numbers) - len(shown), len(shown), sum(numbers.values()), distances)


def count_objects(label: np.ndarray) -> int:
    """Objects of a slice (y, x): connected parts of each label, corners included."""
    from scipy import ndimage

    values = np.unique(label[label > 0])
    return sum(int(ndimage.label(label == value, structure=_TOUCHING)[1]) for value in values)
