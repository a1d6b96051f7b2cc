"""Trains a classifier on scikit-learn's handwritten digits with two processes that log into one run.

    python examples/train_digits.py                    # about two minutes on two cores, no GPU
    python examples/train_digits.py --epochs 20        # a short one

The processes train data-parallel in the simplest honest way (local SGD): each takes its own half of the
training images, and after every epoch both go on from the mean of their weights. Each logs its own loss under its
rank; the validation curves come from rank 0.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import secrets
from dataclasses import asdict, dataclass
from multiprocessing.synchronize import Barrier

# One BLAS thread for each process, set before numpy is imported: the processes are the parallelism here.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import buoy
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


@dataclass
class Config:
    """What the run is made of; logged as its config."""

    epochs: int = 250
    hidden: int = 512
    batch_size: int = 64
    learning_rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 1e-4
    noise: float = 0.15
    crops_per_epoch: int = 8
    processes: int = 2
    seed: int = 17


class Classifier:
    """A perceptron with two hidden layers (64, hidden, hidden, 10), ReLU, softmax and cross-entropy.

    All parameters live in one flat float64 vector, so that two processes can average them in one operation.
    """

    def __init__(self, hidden: int, seed: int) -> None:
        shapes = [(64, hidden), (hidden,), (hidden, hidden), (hidden,), (hidden, 10), (10,)]
        self.parameters = np.zeros(sum(math.prod(shape) for shape in shapes))
        self.gradient = np.zeros_like(self.parameters)
        self.layers = self._views(self.parameters, shapes)
        self.gradients = self._views(self.gradient, shapes)
        rng = np.random.default_rng(seed)
        for weights in self.layers[::2]:
            weights[:] = rng.normal(0.0, math.sqrt(2 / weights.shape[0]), weights.shape)

    @staticmethod
    def _views(flat: np.ndarray, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        return [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]

    def forward(self, images: np.ndarray) -> list[np.ndarray]:
        """Inputs of each layer and, last, the class probabilities, shape (n, 10)."""
        activations = [images]
        for weights, bias in zip(self.layers[:-2:2], self.layers[1:-2:2], strict=True):
            activations.append(np.maximum(activations[-1] @ weights + bias, 0))
        logits = activations[-1] @ self.layers[-2] + self.layers[-1]
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        activations.append(exponentials / exponentials.sum(axis=1, keepdims=True))
        return activations

    def backward(self, activations: list[np.ndarray], labels: np.ndarray) -> None:
        """Writes the gradient of the mean cross-entropy into `gradient`."""
        error = activations[-1].copy()
        error[np.arange(len(labels)), labels] -= 1
        error /= len(labels)
        for layer in range(len(self.layers) - 2, -1, -2):
            inputs = activations[layer // 2]
            self.gradients[layer][:] = inputs.T @ error
            self.gradients[layer + 1][:] = error.sum(axis=0)
            error = (error @ self.layers[layer].T) * (inputs > 0)


def loss_and_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Mean cross-entropy in nats, and the share of right answers."""
    right = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(right, 1e-12)).mean()), float(
        (probabilities.argmax(axis=1) == labels).mean()
    )


def augment(images: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Shifts each 8 x 8 image by up to one pixel and adds noise."""
    pictures = np.pad(images.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    down, right = rng.integers(0, 3, size=(2, len(images)))
    rows = np.arange(8)[None, :, None] + down[:, None, None]
    columns = np.arange(8)[None, None, :] + right[:, None, None]
    moved = pictures[np.arange(len(images))[:, None, None], rows, columns].reshape(-1, 64)
    return moved + rng.normal(0.0, noise, moved.shape)


def train(rank: int, config: Config, run_id: str, shared: multiprocessing.Array, barrier: Barrier) -> None:
    """One process: trains on its share of the images and logs as `rank`."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(config.processes))
    with buoy.init(
        project="digits", id=run_id, ranks="all", config=asdict(config), tags=["example", "local-sgd"]
    ) as run:
        run.define_metric("validation/accuracy", summary="max")
        run.define_metric("validation/loss", summary="min")

        images, labels = load_digits(return_X_y=True)
        split = train_test_split(
            images / 16, labels, test_size=0.2, random_state=config.seed, stratify=labels
        )
        images, validation_images, labels, validation_labels = split
        images, labels = images[rank :: config.processes], labels[rank :: config.processes]

        model = Classifier(config.hidden, config.seed)
        velocity = np.zeros_like(model.parameters)
        rng = np.random.default_rng([config.seed, rank])
        steps = config.epochs * config.crops_per_epoch * (len(images) // config.batch_size)
        step = 0
        for epoch in range(config.epochs):
            for _ in range(config.crops_per_epoch):
                order = rng.permutation(len(images))
                for batch in np.array_split(order, len(images) // config.batch_size):
                    activations = model.forward(augment(images[batch], config.noise, rng))
                    model.backward(activations, labels[batch])
                    rate = config.learning_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
                    velocity *= config.momentum
                    velocity -= rate * (model.gradient + config.weight_decay * model.parameters)
                    model.parameters += velocity
                    loss, accuracy = loss_and_accuracy(activations[-1], labels[batch])
                    norm = float(np.linalg.norm(model.gradient))
                    run.log({"train/loss": loss, "train/accuracy": accuracy, "train/gradient_norm": norm,
                             "learning_rate": rate, "epoch": epoch})  # fmt: skip
                    step += 1
            average(rank, model.parameters, shared, barrier)
            if rank == 0:
                loss, accuracy = loss_and_accuracy(model.forward(validation_images)[-1], validation_labels)
                run.log({"validation/loss": loss, "validation/accuracy": accuracy}, step=step - 1)


def average(rank: int, parameters: np.ndarray, shared: multiprocessing.Array, barrier: Barrier) -> None:
    """Replaces the parameters of every process by their mean."""
    everyone = np.frombuffer(shared, dtype=np.float64).reshape(barrier.parties, -1)
    everyone[rank] = parameters
    barrier.wait()
    parameters[:] = everyone.mean(axis=0)
    barrier.wait()


def main() -> None:
    """Starts one process for each rank and waits for them."""
    parser = argparse.ArgumentParser(description="Train on handwritten digits and log with buoy.")
    parser.add_argument("--epochs", type=int, default=Config.epochs)
    parser.add_argument("--processes", type=int, default=Config.processes)
    parser.add_argument("--seed", type=int, default=Config.seed)
    options = parser.parse_args()
    config = Config(epochs=options.epochs, processes=options.processes, seed=options.seed)

    context = multiprocessing.get_context("spawn")
    size = Classifier(config.hidden, config.seed).parameters.size
    shared = context.RawArray("d", config.processes * size)
    barrier = context.Barrier(config.processes, timeout=300)
    run_id = secrets.token_hex(4)
    workers = [
        context.Process(target=train, args=(rank, config, run_id, shared, barrier))
        for rank in range(config.processes)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit(f"a training process failed: exit codes {[worker.exitcode for worker in workers]}")


if __name__ == "__main__":
    main()
