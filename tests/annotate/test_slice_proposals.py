from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from annotate.network_beside import Beside, phantom_network
from annotate.phantom_campaign import Kind, Person, phantom_campaign, saved_label
from campaign.annotator import read_rows

from nnunet_sparse.annotate.outcome import Outcome, Result
from nnunet_sparse.annotate.slice_proposals import Proposer

NETWORK = Proposer.NETWORK
KIND = Kind(cases=("a", "b"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return phantom_network(tmp_path_factory.mktemp("results"), KIND)


@pytest.fixture
def beside(tmp_path: Path, model: Path) -> Beside:
    return Beside(phantom_campaign(tmp_path / "campaign", KIND), model)


def person_with(beside: Beside, folder: Path) -> Person:
    return Person(folder, KIND, network=beside.view)


def seen_by(person: Person) -> np.ndarray:
    """What the network sees on the slice."""
    found = person.session.proposals.find(NETWORK)
    while isinstance(found, Outcome):
        assert "press the key again" in found.text
        found = person.session.proposals.find(NETWORK)
    return found


def test_what_the_network_sees_is_proposed(tmp_path: Path, beside: Beside) -> None:
    beside.process.may_work = False
    person = person_with(beside, tmp_path / "campaign")
    session, case_id = person.session, person.key[0]
    assert session.proposals.has_network
    assert session.proposals.network_says == "the network is being loaded ..."
    found = session.proposals.find(NETWORK)
    assert isinstance(found, Outcome)
    assert found.text == "the network is being loaded ... press the key again in a while"
    beside.process.may_work = True
    session.tick()
    assert session.proposals.network_says == f"the network looks at case {case_id} ..."
    session.tick()
    assert session.proposals.network_says == f"the network has seen case {case_id}"
    session.tick()  # the next volume is seen as well
    assert len(beside.process.done) == 3
    plane = seen_by(person)
    np.testing.assert_array_equal(plane, beside.view.slice_of(*person.key))
    assert plane.any()
    assert not person.volume.planes[person.key[1]].any()  # nothing is painted before it is accepted
    assert session.problems == []
    session.close()
    assert beside.process.is_killed


def test_an_untouched_proposal_is_confirmed_and_noted(tmp_path: Path, beside: Beside) -> None:
    folder = tmp_path / "campaign"
    person = person_with(beside, folder)
    key, plane = person.key, seen_by(person)
    person.session.proposals.accept(NETWORK)
    np.testing.assert_array_equal(person.volume.planes[key[1]], plane)
    assert person.session.next().result is Result.CONFIRM
    person.session.close()
    person = Person(folder, KIND)  # without a network: it is known all the same
    assert person.key == key
    assert person.session.next().result is Result.CONFIRM
    assert person.session.next(confirmed=True).result is Result.MOVED
    person.session.close()
    np.testing.assert_array_equal(saved_label(person.session.campaign, key[0])[key[1]], plane)
    row = read_rows(folder)[0]
    assert row["status"] == "done"
    assert row["note"] == f"proposal of a network accepted: {beside.view.origin}"
    assert beside.view.origin.startswith("Dataset004_Tiny/nnUNetTrainer__nnUNetPlans__3d ")


def test_a_corrected_proposal_and_one_that_was_given_up(tmp_path: Path, beside: Beside) -> None:
    folder = tmp_path / "campaign"
    person = person_with(beside, folder)
    plane = seen_by(person)
    person.session.proposals.accept(NETWORK)
    person.session.unsure("vessel?")
    first = person.key
    seen_by(person)
    person.session.proposals.accept(NETWORK)
    person.paint(person.true_plane())
    person.session.nothing_here()  # slice 2 shows nothing
    person.session.back()
    person.session.back()
    np.testing.assert_array_equal(person.volume.planes[person.key[1]], plane)
    person.paint(np.where(plane == 1, 2, 1))
    assert person.session.next().result is Result.MOVED
    notes = {int(r["slice"]): r["note"] for r in read_rows(folder) if r["case"] == first[0]}
    origin = beside.view.origin
    assert notes[0] == f"vessel?; proposal of a network corrected: {origin}"
    assert notes[2] in {"", f"proposal of a network corrected: {origin}"}
    # a copy in its place is none of the network
    assert person.key == (first[0], 5)
    seen_by(person)
    person.session.proposals.accept(NETWORK)
    person.session.proposals.copy_nearest()
    person.session.next(confirmed=True)
    assert next(r["note"] for r in read_rows(folder) if r["slice"] == "5") == ""


def test_where_the_network_sees_nothing(
    tmp_path: Path, beside: Beside, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = person_with(beside, tmp_path / "campaign")
    nothing = np.zeros_like(seen_by(person))
    monkeypatch.setattr(beside.view, "slice_of", lambda *_: nothing)
    outcome = person.session.proposals.accept(NETWORK)
    assert outcome == Outcome(Result.STAYED, "the network sees nothing here: O, if that is right")
    assert person.volume.unsaved.drafts == {}
    monkeypatch.setattr(beside.view, "slice_of", lambda *_: nothing[1:])
    outcome = person.session.proposals.accept(NETWORK)
    assert "was changed since it was opened" in outcome.text


def test_all_else_works_without_the_network(tmp_path: Path, beside: Beside) -> None:
    beside.process.dies = True
    person = person_with(beside, tmp_path / "campaign")
    problem = "the network proposes nothing: its process has ended, for lack of memory perhaps"
    assert person.session.problems == [problem]
    outcome = person.session.proposals.find(NETWORK)
    assert outcome == Outcome(Result.STAYED, problem)
    person.annotate_all()
    assert person.session.progress == (6, 6)
    assert person.session.close() == []


def test_the_network_is_not_asked_in_second_readings(tmp_path: Path, model: Path) -> None:
    kind = replace(KIND, second=(0, 5))
    campaign = phantom_campaign(tmp_path / "campaign", kind)
    first = Person(campaign.folder, kind, "mk")
    first.annotate_all()
    first.session.close()
    beside = Beside(campaign, model)
    second = Person(campaign.folder, kind, "jr", network=beside.view)
    session = second.session
    assert session.campaign.is_second_reading
    for found in (session.proposals.find(NETWORK), session.proposals.accept(NETWORK)):
        assert isinstance(found, Outcome)
        assert found.text == "the network is not asked in second readings"
    session.tick()
    assert not beside.process.jobs
    assert beside.process.done == [""]  # it was loaded, and has looked at nothing
    second.annotate_all()
    assert session.close() == []
    assert beside.process.is_killed
