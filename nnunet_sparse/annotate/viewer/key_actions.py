"""What the keys of the window do, and the line that says what came of it."""

from collections.abc import Callable
from functools import partial

from nnunet_sparse.annotate.outcome import Outcome, Result
from nnunet_sparse.annotate.session import AnnotationSession
from nnunet_sparse.annotate.slice_proposals import Proposer
from nnunet_sparse.annotate.viewer.volume_layers import VolumeLayers
from nnunet_sparse.annotate.viewer.work_dock import WorkDock
from nnunet_sparse.system.errors import SparseError, memory_error_message, os_error_message

_OUTLINED = {
    Proposer.SHAPE: "what lies between the annotated slices: A accepts it",
    Proposer.NETWORK: "what the network sees: G accepts it",
}
_NO_SLICE = Outcome(Result.STAYED, "no slice is open")


class KeyActions:
    """Each method that the table of keys names is one of them.

    Parameters
    ----------
    session
        The session.
    dock
        Where notes are written.
    layers
        Gives the volume that is shown; None if there is none.
    show
        Called when something has changed.

    Attributes
    ----------
    message
        What the last key has to say.
    """

    def __init__(
        self,
        session: AnnotationSession,
        dock: WorkDock,
        layers: Callable[[], VolumeLayers | None],
        show: Callable[[], None],
    ) -> None:
        self._session, self._dock, self._layers, self._show = session, dock, layers, show
        self.message, self._is_asked = "", False
        self._outlined: Proposer | None = None

    def next(self) -> None:
        """Save the slice, and show the next one."""
        self._at_slice(self._session.next)

    def back(self) -> None:
        """Show the slice before."""
        self.do(self._session.back)

    def nothing_here(self) -> None:
        """Confirm that there is no object on the slice."""
        self._at_slice(self._session.nothing_here)

    def unsure(self) -> None:
        """Leave the slice for the end, with the note that was written."""
        note = self._dock.note.text().strip()
        current = self._session.current
        self._at_slice(lambda: self._session.unsure(note))
        if self._session.current != current:
            self._dock.note.clear()

    def copy_nearest(self) -> None:
        """Copy the nearest annotated slice onto this one."""
        self._at_slice(self._session.proposals.copy_nearest)

    def propose(self) -> None:
        """Show what interpolation proposes for the slice, or accept it."""
        self._propose(Proposer.SHAPE)

    def propose_network(self) -> None:
        """Show what the network sees on the slice, or accept it."""
        self._propose(Proposer.NETWORK)

    def insert(self) -> None:
        """Paint what another layer of labels shows on the slice, as one of a plug-in."""
        self._at_slice(self._insert)

    def confirm(self) -> None:
        """Answer that something is meant as it is."""
        volume, current = self._session.volume, self._session.current
        if not self._is_asked or volume is None or current is None:
            self.say("there is nothing to be confirmed")
        elif volume.shows_object(volume.planes[current[1]]):
            self.do(lambda: self._session.next(confirmed=True))
        else:
            self.do(self._session.nothing_here)

    def return_to_slice(self) -> None:
        """Show the slice again that is to be annotated."""
        if self._session.volume is not None:
            self._session.return_to_slice()
        self.say("")

    def look_beside(self, step: str) -> None:
        """Look at a slice beside the one that is shown."""
        if self._session.volume is not None:
            self._session.look(self._session.shown + int(step))
        self.say("")

    def show_next_channel(self) -> None:
        """Show another channel."""
        layers = self._layers()
        if layers is not None:
            self.say(f"channel {layers.show_next_channel()}")

    def use_window(self, name: str = "") -> None:
        """Draw CTs as a preset says; without its name, by the annotated slices."""
        layers = self._layers()
        if self._session.volume is not None and layers is not None:
            layers.use_window(name, self._session.shown)

    def do(self, act: Callable[[], Outcome]) -> None:
        """Do something with the session, and show what came of it."""
        try:
            outcome = act()
        except (SparseError, OSError, MemoryError) as error:
            self.say(error_line(error))
            return
        self._is_asked = outcome.result is Result.CONFIRM
        question = " (Y: yes)" if self._is_asked else ""
        if outcome.result is Result.FINISHED and not self._session.queue.num_open:
            question = f"; close the window, then: nnsparse_import {self._session.folder}"
        self.message = f"{outcome.text}{question}"
        self._show()

    def say(self, message: str) -> None:
        """Say something in the dock."""
        self.message, self._is_asked = message, False
        self._show()

    def _insert(self) -> Outcome:
        layers, current = self._layers(), self._session.current
        if layers is None or current is None:
            return _NO_SLICE
        said = layers.take_objects(current[1])
        return Outcome(Result.STAYED, self._session.look_for_strokes([current[1]]) or said)

    def _propose(self, proposer: Proposer) -> None:
        layers = self._layers()
        if layers is not None and layers.proposal is not None and self._outlined is proposer:
            self._at_slice(partial(self._session.proposals.accept, proposer))
            layers.withdraw()
            return
        self._at_slice(partial(self._outline, proposer))

    def _outline(self, proposer: Proposer) -> Outcome:
        """Show outlines of what is proposed."""
        layers, current = self._layers(), self._session.current
        if layers is None or current is None:
            return _NO_SLICE
        layers.withdraw()
        found = self._session.proposals.find(proposer)
        if isinstance(found, Outcome):
            return found
        self._outlined = proposer
        layers.propose(current[1], found)
        return Outcome(Result.STAYED, _OUTLINED[proposer])

    def _at_slice(self, act: Callable[[], Outcome]) -> None:
        """Do something with the slice that is to be annotated, which has to be seen."""
        current = self._session.current
        is_beside = current is not None and self._session.shown != current[1]
        if self._session.volume is not None and is_beside:
            self._session.return_to_slice()
            self.say("this is the slice that is to be annotated: press the key again")
            return
        self.do(act)


def error_line(error: SparseError | OSError | MemoryError) -> str:
    """What an error says, in one line."""
    if isinstance(error, MemoryError):
        return memory_error_message(error)
    return os_error_message(error) if isinstance(error, OSError) else str(error)
