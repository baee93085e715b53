"""Arguments of commands that work in the folder of a campaign."""

from pathlib import Path

from nnunet_sparse.system.options import OptionHolder

DEFAULT_CHANNEL = "image"


def add_campaign_argument(parser: OptionHolder) -> None:
    """Add the folder of the campaign."""
    parser.add_argument(
        "campaign", type=Path, help="folder of the campaign (nnsparse_worklist make)"
    )


def add_annotation_options(parser: OptionHolder) -> None:
    """Add where the annotations are, and which slices show no object."""
    parser.add_argument(
        "--annotations",
        type=Path,
        metavar="FOLDER",
        help="where the annotations are: labels CASE.nii.gz (.nrrd, .mha, .tif), masks of single "
        "slices CASE_slice012.png, segmentations of 3D Slicer CASE.seg.nrrd, DICOM segmentations "
        "(default: the campaign's labels)",
    )
    parser.add_argument(
        "--confirm_empty",
        nargs="*",
        metavar="CASE[:SLICES]",
        help="slices that are as prefilled show no object: all of a case, some (CASE:3,7), or, "
        "where nothing is named, all of all cases (refused while files belong to no case); kept in "
        "worklist.csv",
    )


def add_second_reader_option(parser: OptionHolder, unset: str | None = None) -> None:
    """Add the share of slices that are read twice.

    Parameters
    ----------
    parser
        Parser of a command.
    unset
        What holds where nothing is given, in words, if the parser does not know it: the default is
        None then, otherwise 0.
    """
    parser.add_argument(
        "--second_reader",
        type=float,
        default=0.0 if unset is None else None,
        metavar="SHARE",
        help="share of the slices for which another annotator is asked as well, without seeing the "
        f"first annotation; status compares both (default: {unset or '0'})",
    )
