"""One of two processes that train the tiny data set together; run by ``test_ddp.py``.

Arguments: rank, file for the rendezvous, file for the result. nnU-Net wants a GPU per process; here
both train on the CPU.
"""

import json
import os
import sys
from pathlib import Path

import torch
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as module
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from nnunet_sparse.trainers.sparse_trainer import SparseTrainer


def main(rank: int, rendezvous: str, result: str) -> None:
    dist.init_process_group("gloo", f"file://{rendezvous}", rank=rank, world_size=2)
    module.DDP = lambda network, **_: DistributedDataParallel(network)
    folder = Path(os.environ["nnUNet_preprocessed"]) / "Dataset777_Tiny"
    plans = json.loads((folder / "nnsparseSmallPlans.json").read_text("utf-8"))
    plans["continue_training"] = False
    plans["configurations"]["2d"]["batch_size"] = 4
    dataset_json = json.loads((folder / "dataset.json").read_text("utf-8"))
    trainer = SparseTrainer(plans, "2d", 0, dataset_json, torch.device("cpu"))
    trainer.device = torch.device("cpu")
    trainer.grad_scaler = None
    trainer.on_train_start()
    losses, keys, voxels = [], [], 0.0
    trainer.on_train_epoch_start()
    for _ in range(2):
        batch = next(trainer.dataloader_train)
        keys += [str(key) for key in batch["keys"]]
        voxels += float(batch["data"].sum())
        losses.append(float(trainer.train_step(batch)["loss"]))
    weights = sum(float(p.detach().sum()) for p in trainer.network.parameters())
    content = {
        "batch_size": trainer.batch_size,
        "losses": losses,
        "voxels": voxels,
        "num_keys": len(keys),
        "weights": weights,
    }
    Path(result).write_text(json.dumps(content), "utf-8")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
