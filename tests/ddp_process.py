"""One of two processes that train networks together; forked by ``test_ddp.py``.

The way is nnU-Net's own, ``run_ddp``, which ``nnUNetv2_train -num_gpus 2`` starts for each GPU;
both train on the CPU here.
"""

import json
import multiprocessing
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import torch
from nnunetv2.run import run_training as stock
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as module
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from nnunet_sparse.system.errors import SparseError


class _Threads:
    """Threads where nnU-Net's validation starts processes, each of which imports for seconds."""

    Pool = ThreadPool


def halves() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels of a batch of four, two of each for a process; 2 is not annotated."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 2, 8, 8, generator=generator)
    return logits, torch.randint(0, 3, (4, 1, 8, 8), generator=generator)


def dice_of_half(trainer: Any) -> float:
    """nnU-Net's Dice term of the trainer for the half of its process."""
    mine = slice(2 * trainer.local_rank, 2 * trainer.local_rank + 2)
    logits, target = (tensor[mine] for tensor in halves())
    mask = target != 2
    return float(trainer.loss.loss.dc(logits, torch.where(mask, target, 0), loss_mask=mask))


def train(rank: int, folder: Path, number: int, of: dict[str, Any]) -> dict[str, Any]:
    """One training; returns what it was like in this process."""
    made: list[Any] = []
    said: dict[str, Any] = {"losses": [], "voxels": 0.0, "num_patches": 0}
    stock_trainer = stock.get_trainer_from_args

    def begin(rank: int, world_size: int) -> None:
        file = f"file://{folder / f'rendezvous_{number}'}"
        dist.init_process_group("gloo", file, rank=rank, world_size=world_size)

    def on_the_cpu(*args: Any) -> Any:
        trainer = stock_trainer(*args)
        trainer.device, trainer.grad_scaler = torch.device("cpu"), None
        step = trainer.train_step

        def train_step(batch: dict[str, Any]) -> dict[str, Any]:
            said["num_patches"] += len(batch["keys"])
            said["voxels"] += float(batch["data"].sum())
            result: dict[str, Any] = step(batch)
            said["losses"].append(float(result["loss"]))
            return result

        trainer.train_step = train_step
        made.append(trainer)
        return trainer

    stock.setup_ddp, stock.get_trainer_from_args = begin, on_the_cpu
    stock.cleanup_ddp = lambda: None
    try:
        stock.run_ddp(
            rank,
            of["dataset"],
            of["configuration"],
            0,
            of["trainer"],
            of["plans"],
            False,
            of["continue"],
            False,
            None,
            False,
            False,
            2,
        )
        (trainer,) = made
        weights = trainer.network.module.parameters()
        said["weights"] = sum(float(p.detach().double().sum()) for p in weights)
        said["batch_size"] = trainer.batch_size
        said["oversample"] = float(trainer.oversample_foreground_percent)
        said["epochs"] = trainer.current_epoch
        if trainer.enable_deep_supervision:
            said["dice"] = dice_of_half(trainer)
    except SparseError as error:
        said["error"] = str(error)
    finally:
        stock.get_trainer_from_args = stock_trainer
        dist.destroy_process_group()
    return said


def train_all(rank: int, folder: Path, trainings: list[dict[str, Any]]) -> None:
    """Do all trainings, and write down what they were like; nothing that is set here is undone."""
    torch.set_num_threads(1)  # those of the forked process are not here
    torch.cuda.set_device = lambda _: None
    module.DDP = lambda network, **_: DistributedDataParallel(network)
    multiprocessing.get_context = lambda *_: _Threads  # type: ignore[assignment]
    said = [train(rank, folder, number, of) for number, of in enumerate(trainings)]
    (folder / f"{rank}.json").write_text(json.dumps(said), "utf-8")
