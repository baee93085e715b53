"""Calls of 8f674e5 that were killed, each in a folder of its own, and the calls that repeat them.

A call ends without any cleaning up where a function is entered (``MODULE:FUNCTION``), or when it
has returned for the N-th time (``MODULE:FUNCTION:N``). The functions are those of 8f674e5.
"""

from dataclasses import dataclass
from pathlib import Path

from campaign.annotator import annotate, read_rows

FOLDER = "halfway"
_TOOLS = "nnunet_sparse.dataset_tools"
_CAMPAIGN = "nnunet_sparse.campaign"
_RENAMED = "pathlib:Path.rename:1"
_MAKE = "nnsparse_make_dataset -d Dataset500_PhantomOrgan --rho 0.25 -np 1"
_PHANTOM = (
    "nnsparse_make_phantom tree --shape 8 32 32 --num_train 2 --num_test 1 --spacing 2 1 1 -np 1"
)
_CONVERT = "nnsparse_convert_atlas ATLAS_2 --size 7 12 11 -np 1"
_CAMPAIGN_MADE = (
    "nnsparse_worklist make scans -o campaign --labels ball core --slices_per_volume 3 -np 1"
)
_EXTENDED = "nnsparse_worklist extend campaign --slices_per_volume 1 -np 1"
_IMPORT = "nnsparse_import campaign --partial -np 1"
ANNOTATE = "annotate campaign"
"""In place of a command: somebody paints all slices but one."""


@dataclass(frozen=True)
class Killed:
    """A call that was killed.

    Attributes
    ----------
    name
        Of its folder.
    command
        The call.
    where
        Where it was killed.
    before
        Calls that went well before.
    again
        The call that is to go on; by default the same.
    is_comparable
        Whether what is made holds neither times of files nor weights, so that it is always the
        same.
    """

    name: str
    command: str
    where: str
    before: tuple[str, ...] = ()
    again: str = ""
    is_comparable: bool = True


def annotate_most() -> None:
    """Annotate every slice of the campaign but the first, as somebody called Ada."""
    campaign = Path("campaign")
    first = read_rows(campaign)[0]
    annotate(campaign, Path("truth"), [(first["case"], int(first["slice"]))], minutes=2)


CALLS = (
    Killed("data_set_reserved", _MAKE, f"{_TOOLS}.publish:_begin"),
    Killed("data_set_without_selection", _MAKE, f"{_TOOLS}.publish:write_json:2"),
    Killed("data_set_without_sources", _MAKE, f"{_TOOLS}.publish:write_json:3"),
    Killed("data_set_labels", _MAKE, f"{_TOOLS}.sparse_folder:_write_sparse_label:2"),
    Killed("data_set_complete", _MAKE, f"{_TOOLS}.publish:replace_folder"),
    Killed("data_set_replaced", f"{_MAKE} --overwrite", _RENAMED, (_MAKE,), _MAKE),
    Killed(
        "interpolation",
        f"{_MAKE} --interpolate shape",
        f"{_TOOLS}.interpolate:_write_label:1",
    ),
    Killed("phantom", _PHANTOM, f"{_TOOLS}.make_phantom:_write_case:1"),
    Killed("phantom_replaced", f"{_PHANTOM} --overwrite", _RENAMED, (_PHANTOM,)),
    Killed("conversion", _CONVERT, f"{_TOOLS}.convert.convert:_convert_case:1"),
    Killed("conversion_replaced", f"{_CONVERT} --overwrite", _RENAMED, (_CONVERT,)),
    Killed("campaign", _CAMPAIGN_MADE, f"{_CAMPAIGN}.make:write_guide"),
    Killed("campaign_begun", _CAMPAIGN_MADE, f"{_CAMPAIGN}.make:_bring:1"),
    Killed("campaign_file", _CAMPAIGN_MADE, "tempfile:mkdtemp:2"),
    Killed("extension", _EXTENDED, f"{_CAMPAIGN}.prefill:_prefill_case:1", (_CAMPAIGN_MADE,)),
    Killed("extension_file", _EXTENDED, "tempfile:mkdtemp:2", (_CAMPAIGN_MADE,)),
    Killed(
        "import",
        _IMPORT,
        f"{_CAMPAIGN}.import_campaign:_write_case:1",
        (_CAMPAIGN_MADE, ANNOTATE),
    ),
    Killed(
        "import_committed",
        _IMPORT,
        f"{_TOOLS}.staging:replace_folder",
        (_CAMPAIGN_MADE, ANNOTATE),
    ),
    Killed(
        "import_replaced",
        f"{_IMPORT} --overwrite",
        _RENAMED,
        (_CAMPAIGN_MADE, ANNOTATE, _IMPORT),
    ),
    Killed(
        "preprocessing",
        "nnsparse_plan_and_preprocess -d 501 -c 2d -pl SmallPlanner -np 1",
        "nnunet_sparse.planners.sparse_preprocessor:_preprocess_case:2",
        (_MAKE,),
        is_comparable=False,
    ),
)
