"""The base of a variant, as its ``selection.json`` names it."""

import json
from pathlib import Path

from nnunet_sparse.data.raw_dataset import SELECTION_FILE
from nnunet_sparse.selection.selection import CAMPAIGN_PREFIX


def read_base_name(raw_dataset: Path) -> str | None:
    """Name of the base data set, or None if there is none; the rest of the file may be anything.

    Parameters
    ----------
    raw_dataset
        Folder of the variant.
    """
    try:
        base = json.loads((raw_dataset / SELECTION_FILE).read_text(encoding="utf-8"))["base"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(base, str) or not base.isprintable() or base.startswith(CAMPAIGN_PREFIX):
        return None
    return base if base == Path(base).name and base not in ("", "..") else None
