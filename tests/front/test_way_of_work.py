import tomllib
from pathlib import Path

from nnunet_sparse.front.way_of_work import PREFIX, WAY_OF_WORK, is_ours, overview


def test_every_command_has_its_place() -> None:
    project = Path(__file__).parents[2] / "pyproject.toml"
    scripts = tomllib.loads(project.read_text("utf-8"))["project"]["scripts"]
    listed = [command for _, commands in WAY_OF_WORK for command, _ in commands]
    ours = [PREFIX + command for command in listed if is_ours(command)]
    assert sorted([*ours, "nnsparse"]) == sorted(scripts)


def test_a_line_for_each_command_along_the_way() -> None:
    lines = overview().splitlines()
    assert [line.split()[0] for line in lines if line[0] != " "] == [
        *("make", "prepare", "train", "score", "grid", "campaign")
    ]
    order = ["make_dataset", "plan_and_preprocess", "nnUNetv2_train", "evaluate", "worklist"]
    assert [word for line in lines for word in line.split() if word in order] == order
    assert max(map(len, lines)) <= 100
