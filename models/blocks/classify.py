"""What gradient-trained classifiers share: how they are trained and validated."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from data.prepared import PreparedData
from models.blocks import batches, fine_tuning, imbalance, loop, shots
from models.blocks.augment import Augmented
from models.blocks.batches import Batches
from models.blocks.imbalance import Imbalance
from models.blocks.photographs import Augmentation
from models.blocks.pixels import unit
from models.run import Run

CHUNK = 512


Criterion = Callable[..., Tensor]
"""(logits float32 [N, K], labels int64 [N]) -> scalar, their mean; with ``reduction="none"`` of each example, [N]."""


class Classifying(Augmented):
    """The settings of a classifier that is trained by gradients.

    Attributes:
        imbalance: what makes up for classes of unequal size: ``none``; ``weights``, by which the loss of an example is
            the heavier the fewer its class has; or ``sampling``, by which an epoch shows each class equally often. With
            either, the best weights are chosen by a validation loss in which each class counts alike, and probabilities
            are those of data whose classes are equally frequent.
        augmentation: how photographs are changed before they are learned from; None for not at all.
    """

    imbalance: Imbalance = Field(default="none", exclude_if=lambda choice: choice == "none")
    augmentation: Augmentation | None = Field(default=None, exclude_if=lambda choice: choice is None)


def fit(model: nn.Module, data: PreparedData, run: Run) -> None:
    """Train a classifier in place that may start from weights that know the world, by smoothed cross-entropy.

    ``data.validation`` chooses the best weights.

    Raises:
        UserError: the weights that it is to start from do not fit.
    """
    fine_tuning.begin(model)
    data = shots.few(data, model.config.shots, run.seed)
    criterion = partial(functional.cross_entropy, label_smoothing=model.config.label_smoothing)
    train(model, data, run, model.config, criterion)


def train(
    network: nn.Module,
    data: PreparedData,
    run: Run,
    config: Classifying,
    criterion: Criterion = functional.cross_entropy,
    recipe: loop.Recipe | None = None,
) -> None:
    """Train ``network`` in place on ``data.train``, changed as ``config`` says; ``data.validation`` chooses weights.

    The recipe is ``config``'s own unless another is given.
    """
    known = data.train.labels
    of_class = imbalance.weights(known).to(run.device) if config.imbalance == "weights" else None

    def loss(network: nn.Module, x_bchw: Tensor, labels: Tensor) -> Tensor:
        logits = network(x_bchw).float()
        if of_class is None:
            return criterion(logits, labels)
        # Not PyTorch's weighted mean: by that the examples of a batch would count the more the lighter the others are.
        return (criterion(logits, labels, reduction="none") * of_class[labels]).mean()

    def balanced(_: int, seed: int, epoch: int) -> Tensor:
        return imbalance.order(known, seed, epoch)

    loop.train(
        network,
        data,
        run,
        recipe or config,
        loss=loss,
        validate=partial(validate, balanced=config.imbalance != "none"),
        augment=config.change,
        order=balanced if config.imbalance == "sampling" else batches.order,
        change=config.augmentation and config.augmentation.change(*data.train.images.shape[1:3]),
    )


@torch.no_grad()
def validate(network: nn.Module, split: Batches, balanced: bool = False) -> dict[str, float]:
    """Return mean cross-entropy (``loss``, nats) and ``accuracy`` of the logits ``network(x_bchw)`` on ``split``.

    Of a ``balanced`` loss each class has an equal share.
    """
    of_class = imbalance.weights(split.split.labels).to(split.device) if balanced else None
    loss = torch.zeros((), dtype=torch.float64, device=split.device)
    right = torch.zeros((), dtype=torch.int64, device=split.device)
    for images, labels in split.in_order(CHUNK):
        logits = network(unit(images)).float()
        if of_class is None:
            loss += functional.cross_entropy(logits, labels, reduction="sum")
        else:
            loss += (functional.cross_entropy(logits, labels, reduction="none") * of_class[labels]).sum()
        right += (logits.argmax(dim=-1) == labels).sum()
    return {"loss": float(loss) / len(split), "accuracy": float(right) / len(split)}
