"""Whatever somebody does, and whenever the session is killed: nothing painted is lost."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from annotate.phantom_campaign import TURNED, Kind, Person, phantom_campaign, saved_label
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nnunet_sparse.annotate.outcome import Outcome, Result
from nnunet_sparse.campaign.progress import find_progress
from nnunet_sparse.campaign.slice_times import read_times
from nnunet_sparse.campaign.worklist import SliceKey

KIND = Kind(axis=1, shape=(4, 7, 3), affine=TURNED, asked=(0, 2, 5))
ROWS, COLUMNS = 4, 3


class Actions(RuleBasedStateMachine):
    """Somebody who does anything, beside a model of what the slices must look like."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.campaign = phantom_campaign(self.folder / "campaign", KIND)
        keys = [(case_id, i) for case_id in KIND.cases for i in self.campaign.asked(case_id)]
        nothing = np.zeros((ROWS, COLUMNS), np.uint8)
        self.shown: dict[SliceKey, np.ndarray] = dict.fromkeys(keys, nothing)
        self.saved: dict[SliceKey, np.ndarray] = dict.fromkeys(keys, nothing)
        self.seconds = 0.0
        self.person = Person(self.campaign.folder, KIND)

    def teardown(self) -> None:
        assert self.person.session.close() == []
        self.check_files()
        shutil.rmtree(self.folder)

    def plane(self, index: int) -> np.ndarray:
        return np.array(self.person.volume.planes[index])

    @rule(seed=st.integers(0, 5), other=st.booleans())
    def paint(self, seed: int, other: bool) -> None:
        """Any labels, or none, on the slice or on another one that was asked for."""
        case_id, index = self.person.key
        if other:
            index = self.campaign.asked(case_id)[seed % 3]
            self.person.session.look(index)
        plane = np.random.default_rng(seed).integers(0, 3, (ROWS, COLUMNS)) * (seed > 0)
        self.person.clock.pass_(3)
        assert self.person.paint(plane, index) is None
        self.shown[case_id, index] = plane.astype(np.uint8)

    @rule(confirmed=st.booleans())
    def next(self, confirmed: bool) -> None:
        key = self.person.key
        if self._went_on(self.person.session.next(confirmed)):
            self.saved[key] = self.shown[key]

    @rule()
    def nothing_here(self) -> None:
        key = self.person.key
        if self._went_on(self.person.session.nothing_here()):
            self.saved[key] = self.shown[key] = np.zeros((ROWS, COLUMNS), np.uint8)

    @rule()
    def unsure(self) -> None:
        key = self.person.key
        self._went_on(self.person.session.unsure("?"))
        self.saved[key] = np.full((ROWS, COLUMNS), self.campaign.ignore_label, np.uint8)

    @rule()
    def back(self) -> None:
        self.person.session.back()

    @rule(number=st.integers(0, 5))
    def visit(self, number: int) -> None:
        self.person.session.visit(list(self.shown)[number])

    @rule(copy=st.booleans())
    def suggest(self, copy: bool) -> None:
        key = self.person.key
        before = self.plane(key[1])
        session = self.person.session
        done = session.proposals.copy_nearest() if copy else session.proposals.accept()
        self.shown[key] = self.plane(key[1])
        if done.text:
            np.testing.assert_array_equal(self.shown[key], before)

    @rule(passed=st.sampled_from([1, 30, 70]))
    def wait(self, passed: int) -> None:
        self.person.clock.pass_(passed)
        self.person.session.tick()

    @rule()
    def kill(self) -> None:
        self.person.start()

    @rule()
    def close(self) -> None:
        assert self.person.session.close() == []
        self.check_files()
        self.person.start()

    @precondition(lambda self: self.person.session.volume is not None)
    @invariant()
    def looks_as_painted(self) -> None:
        case_id, _ = self.person.key
        for index in self.campaign.asked(case_id):
            np.testing.assert_array_equal(self.plane(index), self.shown[case_id, index])
        assert self.person.session.problems == []

    def check_files(self) -> None:
        _, progress = find_progress(self.campaign, None, None, 1)
        for case_id, case in progress.cases.items():
            assert case.problem is None
            assert not (case.states.contradictory)
            assert not (case.states.unfinished)
            assert not (case.states.cleared)
            planes = np.moveaxis(saved_label(self.campaign, case_id), KIND.axis, 0)
            for index in range(len(planes)):
                expected = self.saved.get((case_id, index), self.campaign.ignore_label)
                np.testing.assert_array_equal(planes[index], expected)
        assert len({time.visit for time in read_times(self.campaign)}) == len(
            read_times(self.campaign)
        )

    def _went_on(self, outcome: Outcome) -> bool:
        return outcome.result in {Result.MOVED, Result.FINISHED}


TestActions = pytest.mark.slow(Actions.TestCase)
TestActions.settings = settings(max_examples=8, stateful_step_count=20, deadline=None)
