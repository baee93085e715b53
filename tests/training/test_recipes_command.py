import re
from pathlib import Path

import pytest

from nnunet_sparse.training.paper_recipes import PAPER
from nnunet_sparse.training.recipe import Recipe
from nnunet_sparse.training.recipes_command import main, option_table, recipe_table
from nnunet_sparse.training.settings import parse_assignments

DOCS = Path(__file__).parents[2] / "docs" / "recipes.md"


def test_the_documentation_shows_the_tables():
    """If this fails: put what ``nnsparse_recipes`` prints into docs/recipes.md."""
    text = DOCS.read_text(encoding="utf-8")
    assert recipe_table() in text
    assert option_table() in text


def test_every_training_is_in_all_tables(capsys):
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert all(printed.count(f"| `{name}` |") == 3 for name in PAPER)
    assert "background 0.04, context 0.25, target 1.4" in printed
    assert "times 0.7 every 2000" in printed


def test_settings_of_the_other_version_can_be_given():
    text = DOCS.read_text(encoding="utf-8")
    section = text.partition("## Where the paper's versions disagree")[2]
    section = section.partition("## What differs from the paper")[0]
    found = [code for code in re.findall(r"`(recipe\.[^`]+=[^`]+)`", section) if "..." not in code]
    assert len(found) == 7
    for code in found:
        words = re.split(r" (?=recipe\.)", code)
        changes = parse_assignments(words)["recipe"]
        changed = Recipe().replaced(changes)
        assert {key: getattr(changed, key) for key in changes} == changes


def test_the_smooth_fall_of_the_first_version():
    for period, factor in ((2000, 0.99982168), (3000, 0.99988112)):
        assert factor**period == pytest.approx(0.7, rel=1e-4)
