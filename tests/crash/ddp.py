"""A training of torch's: `torchrun --nproc-per-node 2 ddp.py FOLDER RANKS STEPS`: two processes, averaged by gloo.

Each rank writes what it has logged, and its weights at the end, to a file of its own.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import buoy
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel


def main() -> None:
    folder, ranks, steps = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    rank = int(os.environ["RANK"])
    options = {"ranks": ranks} if ranks else {}
    # One rank joins the run before the others can hear of it, the other when all are there.
    run = buoy.init(project="crash", **options) if rank == 1 else None
    distributed.init_process_group("gloo")
    run = run or buoy.init(project="crash", **options)
    torch.manual_seed(0)
    model = DistributedDataParallel(torch.nn.Linear(8, 1))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    data = torch.Generator().manual_seed(100 + rank)
    losses = []
    for step in range(steps):
        inputs = torch.randn(16, 8, generator=data)
        loss = (model(inputs) - inputs.sum(1, keepdim=True)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        run.log({"loss": loss, "first": loss.item() if step == 0 else None}, step=step)
        losses.append(loss.item())
    weights = [value for parameter in model.parameters() for value in parameter.detach().flatten().tolist()]
    about = {"run": run.id, "losses": losses, "weights": weights, "rank": run.rank}
    (folder / f"{rank}.json").write_text(json.dumps(about))
    distributed.destroy_process_group()
    run.finish()


if __name__ == "__main__":
    main()
