"""The paper's trainers: which network, with which recipe, for which task.

Everything that names them follows from the table here: the classes, nnU-Net's look-up, what
planning says about them, and the grid's experiment files.

Numbers are those of Zhang, Kramer and Mazurowski (MIDL 2026, appendix G); where the paper is silent
the value is a decision of this project, listed in docs/recipes.md.
"""

from dataclasses import dataclass

from nnunet_sparse.training.recipe import Recipe


@dataclass(frozen=True)
class PaperTrainer:
    """A network of the paper and its recipe.

    Attributes
    ----------
    network
        Name of the network and its source.
    architecture
        Its name in :mod:`nnunet_sparse.architectures`.
    dimensions
        2 or 3.
    task
        The paper's task; ``PaperPlanner`` with this name plans it.
    recipe
        Everything else.
    is_main
        Whether it is one of the paper's six trainers; the others check one of these.
    """

    network: str
    architecture: str
    dimensions: int
    task: str
    recipe: Recipe
    is_main: bool = True

    @property
    def configuration(self) -> str:
        """nnU-Net's configuration."""
        return "2d" if self.dimensions == 2 else "3d_fullres"


_LITS17_CENTRES = {"context": 0.5, "target": 0.3, "background+unannotated": 0.2}
_ATLAS_3D = Recipe(
    iterations=15000,
    loss="dice_focal",
    optimizer="adamw",
    initial_lr=1.5e-4,
    weight_decay=1e-6,
    schedule="step",
    factor=0.7,
    period=3000,
    augmentation=("affine", "flip"),
    patch_centres={"background": 0.3, "target": 0.55, "unannotated": 0.15},
)

PAPER: dict[str, PaperTrainer] = {
    "SparseTrainerInceptionUNet": PaperTrainer(
        "Inception-UNet (Punn and Agarwal 2020)",
        "inception_unet",
        2,
        "LiTS17",
        Recipe(
            iterations=14000,
            loss="ce",
            class_weights={"background": 0.04, "context": 0.25, "target": 1.4},
            optimizer="adamw",
            initial_lr=1e-4,
            weight_decay=1e-5,
            schedule="poly",
            power=0.8,
            augmentation=("bias_field", "elastic", "flip"),
        ),
    ),
    "SparseTrainerSegFormer": PaperTrainer(
        "SegFormer-B3 (Xie et al. 2021)",
        "segformer",
        2,
        "DBC",
        Recipe(
            iterations=12000,
            loss="ce",
            optimizer="adamw",
            initial_lr=1e-4,
            weight_decay=1e-2,
            schedule="poly",
            power=0.8,
            augmentation=("flip",),
            pretrained=True,
        ),
    ),
    "SparseTrainerCAMWNet": PaperTrainer(
        "CAM-WNet (Liu et al. 2022)",
        "cam_wnet",
        2,
        "ATLAS",
        Recipe(
            iterations=15000,
            loss="dice_ce",
            optimizer="adamw",
            initial_lr=5e-5,
            weight_decay=1e-5,
            schedule="step",
            factor=0.7,
            period=2000,
            augmentation=("flip",),
            pretrained=True,
        ),
    ),
    "SparseTrainerUNet3D": PaperTrainer(
        "3D U-Net (Cicek et al. 2016)",
        "unet3d",
        3,
        "LiTS17",
        Recipe(
            iterations=18000,
            loss="ce",
            class_weights={"background": 0.04, "context": 0.2, "target": 1.0},
            optimizer="sgd",
            initial_lr=1e-2,
            weight_decay=1e-4,
            momentum=0.9,
            schedule="constant",
            augmentation=("bias_field", "affine", "flip"),
            patch_centres=_LITS17_CENTRES,
        ),
    ),
    "SparseTrainerSegResNet": PaperTrainer(
        "SegResNet (Myronenko 2019)",
        "segresnet",
        3,
        "DBC",
        Recipe(
            iterations=12000,
            loss="ce",
            optimizer="adamw",
            initial_lr=3e-4,
            weight_decay=1e-5,
            schedule="cosine",
            augmentation=("affine", "flip"),
        ),
    ),
    "SparseTrainerUNETR": PaperTrainer(
        "UNETR (Hatamizadeh et al. 2022)", "unetr", 3, "ATLAS", _ATLAS_3D
    ),
    "SparseTrainerAttentionUNet3D": PaperTrainer(
        "Attention U-Net (Oktay et al. 2018)",
        "attention_unet3d",
        3,
        "ATLAS",
        _ATLAS_3D,
        # the paper checks UNETR with it and says nothing of its recipe: that it is UNETR's is an
        # assumption of this project
        is_main=False,
    ),
}
"""By name of the trainer."""


def trainers_for(task: str | None, configuration: str) -> list[str]:
    """Names of the paper's trainers for a task and nnU-Net's configuration; none for no task."""
    return [
        name
        for name, trainer in PAPER.items()
        if (trainer.task, trainer.configuration) == (task, configuration)
    ]
