"""Where an annotator was, for the next session."""

import hashlib
from pathlib import Path

from nnunet_sparse.campaign.worklist import SliceKey
from nnunet_sparse.system.atomic import write_json
from nnunet_sparse.system.json_files import read_json


class Bookmark:
    """A file beside the labels, one for each annotator.

    Parameters
    ----------
    folder
        Folder of the labels.
    annotator
        Who.
    """

    def __init__(self, folder: Path, annotator: str) -> None:
        digest = hashlib.sha256(annotator.encode()).hexdigest()[:12]
        self._file = folder / f".nnsparse_left_{digest}.json"

    def read(self) -> SliceKey | None:
        """The slice at which the annotator was; None if that is not known."""
        content = read_json(self._file)
        if not isinstance(content, dict):
            return None
        case_id, index = content.get("case"), content.get("slice")
        return (case_id, index) if isinstance(case_id, str) and isinstance(index, int) else None

    def keep(self, key: SliceKey) -> None:
        """Write where the annotator is.

        Raises
        ------
        OSError
            If that cannot be written.
        """
        write_json(self._file, {"case": key[0], "slice": key[1]})
