from pathlib import Path

from nnunet_sparse.training.paper_recipes import PAPER
from nnunet_sparse.training.recipes_command import main, option_table, recipe_table

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
