import json
import os
import shutil
import subprocess
from collections.abc import Callable

import pytest

from nnunet_sparse.front.completion import completion_script
from nnunet_sparse.front.nnsparse_command import find_command

COMMANDS = ("make_dataset", "plan_and_preprocess", "grid", "evaluate", "worklist", "doctor")
# names that would be commands, or would be told apart by shells
RUN = (
    "$(touch ran)",
    "`touch ran`",
    "$((a[$(touch ran)]))",
    "${a:=b}",
    "~",
    "*",
    "a b",
    "'\"",
    "{a,b}",
)
HOSTILE = (*RUN, "a\nb", "a\x1b[2Jb")
Complete = Callable[[str], set[str]]


def functions() -> dict[str, Callable[..., int]]:
    return {f"nnsparse_{name}": find_command(f"nnsparse_{name}") for name in COMMANDS}


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Complete:
    """What bash offers for a line whose last word is being typed."""
    folder = tmp_path_factory.mktemp("completion")
    script = folder / "script"
    script.write_text(completion_script("bash", functions()), "utf-8")
    for name in ("Dataset004_Hippocampus", "Dataset500_Sparse", "notes"):
        (folder / "raw" / name).mkdir(parents=True)
    plans = folder / "preprocessed" / "Dataset500_Sparse" / "nnsparsePlans.json"
    plans.parent.mkdir(parents=True)
    plans.write_text(json.dumps({}))
    (folder / "here").mkdir()
    for name in ("grid.yaml", "two words", "*"):
        (folder / "here" / name).touch()
    for name in HOSTILE:
        (folder / "raw" / f"Dataset666_{name}").mkdir()
        (plans.parent / f"hostilePlans{name}.json").touch()

    def offered(line: str) -> set[str]:
        words = line.split(" ")
        program = (
            f'. "{script}"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _nnsparse; '
            "printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        done = subprocess.run(
            ["bash", "-c", program, "bash", *words],
            env=os.environ
            | {"nnUNet_raw": f"{folder}/raw", "nnUNet_preprocessed": f"{folder}/preprocessed"},
            cwd=folder / "here",
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        assert done.stderr == ""
        assert {path.name for path in (folder / "here").iterdir()} == {
            "grid.yaml",
            "two words",
            "*",
        }
        return set(done.stdout.splitlines()) - {""}

    return offered


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("nnsparse make_da", {"make_dataset"}),
        ("nnsparse_make_dataset -d Dataset0", {"Dataset004_Hippocampus"}),
        ("nnsparse_make_dataset -d Dataset6", {f"Dataset666_{name}" for name in RUN}),
        ("nnsparse make_dataset -d Dataset5", {"Dataset500_Sparse"}),
        ("nnsparse_make_dataset --selector st", {"stratified"}),
        ("nnsparse_make_dataset --scope ", {"volume", "dataset"}),
        ("nnsparse_plan_and_preprocess -c 2d 3d_f", {"3d_fullres"}),
        ("nnsparse_plan_and_preprocess -pl Small", {"SmallPlanner"}),
        ("nnsparse_doctor -tr SparseTrainerUNETR", {"SparseTrainerUNETR"}),
        ("nnsparse_doctor -p n", {"nnsparsePlans"}),
        ("nnsparse_doctor -p h", {f"hostilePlans{name}" for name in RUN}),
        ("nnsparse_grid ru", {"run"}),
        ("nnsparse grid run g", {"grid.yaml"}),
        ("nnsparse_grid init --pres", {"--preset"}),
        ("nnsparse_evaluate --overwrite g", {"grid.yaml"}),
        ("nnsparse_evaluate --overwrite ", {"grid.yaml", "two words", "*"}),
        ("nnsparse_make_dataset --rho ", set()),
    ],
)
def test_bash_offers(line: str, expected: set[str], complete: Complete) -> None:
    """Names of folders are words, and nothing that they hold is run."""
    assert complete(line) == expected


def test_hidden_commands_are_not_offered(complete: Complete) -> None:
    assert complete("nnsparse_grid ") == {"init", "plan", "run", "status"}


def test_fish_is_told_what_bash_is_told() -> None:
    lines = completion_script("fish", {"nnsparse_doctor": find_command("nnsparse_doctor")})
    for start in (
        "complete -c nnsparse_doctor -s d -l dataset -x -a '(__nnsparse_datasets)'",
        "complete -c nnsparse -n '__fish_seen_subcommand_from doctor' -o tr -l trainer -x -a",
    ):
        assert sum(line.startswith(start) for line in lines.splitlines()) == 1


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_understand_the_script(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = completion_script(shell, functions())
    done = subprocess.run(
        [shell, "-n"], input=script, capture_output=True, encoding="utf-8", check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
