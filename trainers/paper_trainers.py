"""The networks of the paper with their recipes, as ``nnUNetv2_train -tr`` takes them.

What each of them does is in :mod:`nnunet_sparse.training.paper_recipes`.
"""

from nnunet_sparse.trainers.recipe_trainer import RecipeTrainer
from nnunet_sparse.training.paper_recipes import PAPER


class SparseTrainerInceptionUNet(RecipeTrainer):
    """Inception-UNet, the paper's 2D network for liver tumours."""

    training = PAPER["SparseTrainerInceptionUNet"]


class SparseTrainerSegFormer(RecipeTrainer):
    """SegFormer-B3, the paper's 2D network for breast MRI."""

    training = PAPER["SparseTrainerSegFormer"]


class SparseTrainerCAMWNet(RecipeTrainer):
    """CAM-WNet, the paper's 2D network for stroke lesions."""

    training = PAPER["SparseTrainerCAMWNet"]


class SparseTrainerUNet3D(RecipeTrainer):
    """3D U-Net, the paper's 3D network for liver tumours."""

    training = PAPER["SparseTrainerUNet3D"]


class SparseTrainerSegResNet(RecipeTrainer):
    """SegResNet, the paper's 3D network for breast MRI."""

    training = PAPER["SparseTrainerSegResNet"]


class SparseTrainerUNETR(RecipeTrainer):
    """UNETR, the paper's 3D network for stroke lesions."""

    training = PAPER["SparseTrainerUNETR"]


class SparseTrainerAttentionUNet3D(RecipeTrainer):
    """3D Attention U-Net, with which the paper checks UNETR."""

    training = PAPER["SparseTrainerAttentionUNet3D"]
