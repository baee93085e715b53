"""The commands in the order in which they are used, nnU-Net's own at their place."""

PREFIX = "nnsparse_"

WAY_OF_WORK: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "make",
        (
            ("env", "print the shell lines by which nnU-Net finds our trainers"),
            ("demo", "all of it on a small phantom, in minutes"),
            ("make_phantom", "make a dense data set to try things on"),
            ("convert_lits17", "make a dense data set of LiTS17, as published"),
            ("convert_dbc", "... of Duke-Breast-Cancer-MRI"),
            ("convert_atlas", "... of ATLAS R2.0"),
            ("train_mae", "train the network by whose features slices are chosen"),
            ("make_dataset", "make a slice-sparse data set of a dense one"),
            ("show_selection", "draw which slices were chosen"),
            ("train_interpolator", "train the network that fills slices between annotated ones"),
            ("interpolate", "make a data set whose other slices are filled"),
            ("interpolation_quality", "compare filled slices with dense labels"),
        ),
    ),
    (
        "prepare",
        (
            ("plan_and_preprocess", "fingerprint, plans, preprocessing"),
            ("doctor", "show what is wrong with a data set, its plans and its batches"),
        ),
    ),
    (
        "train",
        (
            ("recipes", "show the trainers of the paper"),
            ("nnUNetv2_train", "train (nnU-Net), with -tr SparseTrainer"),
            ("nnUNetv2_predict", "predict (nnU-Net)"),
        ),
    ),
    (
        "score",
        (
            ("evaluate", "score predictions against dense labels"),
            ("extend", "make the next data set: more slices, chosen by a trained network"),
        ),
    ),
    (
        "grid",
        (
            ("grid", "all of that for many variants: init, plan, run, status"),
            ("report", "tables and figures of a grid"),
            ("advise", "which slices to annotate, by what a grid has found"),
        ),
    ),
    (
        "campaign",
        (
            ("worklist", "choose slices of volumes without labels, for people to annotate"),
            ("annotate", "annotate these slices in a window"),
            ("import", "make a sparse data set of what they have annotated"),
        ),
    ),
)
"""Stages of the work, each with its commands (ours without ``nnsparse_``) and what they do."""


def is_ours(command: str) -> bool:
    """Whether a command of the list is not nnU-Net's."""
    return not command.startswith("nnUNet")


def overview() -> str:
    """The list, a line for each command."""
    width = max(len(command) for _, commands in WAY_OF_WORK for command, _ in commands)
    lines = []
    for stage, commands in WAY_OF_WORK:
        for number, (command, summary) in enumerate(commands):
            lines.append(f"{'' if number else stage:<9} {command:<{width}}  {summary}")
    return "\n".join(lines)
