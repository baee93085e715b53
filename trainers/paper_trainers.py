"""The networks of the paper with their recipes, as ``nnUNetv2_train -tr`` takes them.

There is one class for each row of the table :data:`nnunet_sparse.training.paper_recipes.PAPER`,
under the name of the row.
"""

from nnunet_sparse.trainers.recipe_trainer import RecipeTrainer
from nnunet_sparse.training.paper_recipes import PAPER, PaperTrainer


def _trainer_class(name: str, paper: PaperTrainer) -> type[RecipeTrainer]:
    """Trainer of a row; pickle and nnU-Net find it by its name in this module."""
    text = f"{paper.network}, a network of {paper.dimensions} dimensions for {paper.task}."
    return type(name, (RecipeTrainer,), {"__module__": __name__, "__doc__": text, "paper": paper})


globals().update({name: _trainer_class(name, paper) for name, paper in PAPER.items()})
