"""The gradient loop that families share: AdamW, cosine schedule, averaged weights, best and last, exact resume."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol

import torch
from pydantic import Field
from torch import Tensor, nn

from data.errors import UserError
from data.prepared import Split
from models import ranks
from models.blocks import batches, synced_norm
from models.blocks.batches import Batches, Order, parts
from models.blocks.ema import EMA
from models.blocks.photographs import Change
from models.blocks.pixels import unit
from models.blocks.steps import Steps
from models.run import Run
from models.settings import Settings

Loss = Callable[..., Tensor]
"""(model, images float32 [N, C, H, W] in [0, 1], labels int64 [N] or what else belongs to them) -> scalar."""
Validate = Callable[[nn.Module, Batches], dict[str, float]]
"""(model, the validation split) -> metrics; ``loss`` among them chooses the best weights, lower is better."""
Augment = Callable[[Tensor, torch.Generator], Tensor]
"""(images as above, generator) -> images as above."""
Keep = Literal["best", "last"]
"""Which of the averaged weights are used: those that validated best, or the last, whatever they validate at."""


class Splits(Protocol):
    """What is trained on, and what chooses the best weights."""

    train: Split
    validation: Split


class Recipe(Settings):
    """The settings of a gradient training; families inherit them in their ``Config``.

    Attributes:
        epochs: passes over the train split.
        least_steps: optimizer steps that a small data set gets nevertheless, by more passes; not where overrides name
            ``epochs``.
        batch_size: images a step (all of the train split where it has fewer).
        learning_rate: the highest, after the warm-up.
        warmup: share of the steps over which the rate rises linearly; after it, it falls to 0 on a cosine.
        weight_decay: AdamW's, on weight matrices and kernels only.
        clip: greatest norm of the gradient.
        ema_decay: of the averaged weights, which are what is validated and used.
    """

    FLOORS: ClassVar[Mapping[str, str]] = {"epochs": "least_steps"}
    AUTO: ClassVar[tuple[str, ...]] = ("batch_size",)

    epochs: int = Field(default=10, ge=1)
    least_steps: int = Field(default=1, ge=1)
    batch_size: int = Field(default=64, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    warmup: float = Field(default=0.1, ge=0, lt=1)
    weight_decay: float = Field(default=0.01, ge=0)
    clip: float = Field(default=1.0, gt=0)
    ema_decay: float = Field(default=0.99, ge=0, lt=1)

    def rates(self, names: Sequence[str]) -> dict[str, float]:
        """Return of each parameter, by name, the share of the learning rate that it gets: all of it."""
        return dict.fromkeys(names, 1.0)


def train(
    model: nn.Module,
    data: Splits,
    run: Run,
    recipe: Recipe,
    *,
    loss: Loss,
    validate: Validate,
    augment: Augment | None = None,
    tensors: tuple[str, ...] = ("images", "labels"),
    keep: Keep = "best",
    order: Order = batches.order,
    change: Change | None = None,
) -> None:
    """Train ``model`` in place; at the end it holds the averaged weights that validated best, or the last ones.

    ``tensors`` names what a batch is of, the images first; ``loss`` and ``validate`` get them in this order. ``order``
    says which examples an epoch shows, and ``change`` what becomes of each image, on the CPU and ahead of its step;
    ``augment`` is of whole batches, on the device.
    Every epoch ends with a validation and a row of the history. The last epoch may be a part of one.

    Raises:
        UserError: the loss became NaN or infinite.
    """
    model.to(run.device, memory_format=torch.channels_last)
    with synced_norm.across_ranks(model):
        # What the CPU changes need not wait on a GPU.
        limit = 0 if change is not None and run.device.type == "cuda" else None
        shown = Batches(data.train, run.device, limit, tensors)
        training = _Training(model, recipe, run, len(shown), keep)
        held_out = Batches(data.validation, run.device, tensors=tensors) if ranks.is_first() else None
        own = ranks.shares(training.steps.size)[ranks.number()]
        for images, *targets in training.steps.batches(shown, order, change):
            x_bchw = unit(images)
            if augment:
                with ranks.sharing(own):
                    x_bchw = augment(x_bchw, run.generator)
            training.update(loss, x_bchw, targets)
            if training.steps.at_epoch_end:
                mean = training.mean_loss()
                if held_out is not None:
                    training.validated(mean, validate(training.ema.average, held_out))
            if not training.steps.finished and run.save_due():
                run.save(training.state_dict())
        training.finish()


def learning_rate(step: int, steps: int, recipe: Recipe) -> float:
    """Return the rate of step ``step`` of ``steps``: linear warm-up, then a cosine to 0 (Loshchilov & Hutter 2017)."""
    rise = recipe.warmup * steps
    if step < rise:
        return recipe.learning_rate * (step + 1) / (rise + 1)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise)))


class _Training:
    """Everything that changes while training, so that all of it can be saved and restored."""

    def __init__(self, model: nn.Module, recipe: Recipe, run: Run, num_images: int, keep: Keep) -> None:
        self.model, self.recipe, self.run, self.keep = model, recipe, run, keep
        self.steps = Steps(recipe, run, num_images)
        ranks.set_out(model)
        self.optimizer = _adamw(model, recipe)
        self.ema = EMA(model, recipe.ema_decay)
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=run.device)
        self.loss_count = 0
        self.best: dict[str, Any] = {}
        self.best_weights: dict[str, Tensor] = {}
        state = run.restore()
        if state is not None:
            self._load_state_dict(state)

    def update(self, loss: Loss, x_bchw: Tensor, targets: Sequence[Tensor]) -> None:
        """Take one optimizer step."""
        self.model.train()
        self.run.done = self.steps.share
        for group in self.optimizer.param_groups:
            rate = learning_rate(self.steps.done, self.steps.total, self.recipe)
            group["lr"] = rate * group["share"]
        self.optimizer.zero_grad(set_to_none=True)
        value = torch.zeros((), dtype=torch.float64, device=self.run.device)
        # The gradient of a batch that is too large to be computed on together is summed over its parts, and over ranks.
        for part in parts(self.steps.size, x_bchw, *targets):
            with self.run.autocast(), ranks.sharing(part.share):
                of_part = loss(self.model, *part.tensors) * part.weight
            of_part.backward()
            value += of_part.detach()
        ranks.add_up(self.model.parameters())
        nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimizer.step()
        if ranks.is_first():
            self.ema.update()
        self.steps.done += 1
        self.loss_sum += value  # stays on the device: reading it here would make the GPU wait
        self.loss_count += 1
        self.run.images += self.steps.size
        self.steps.show()

    def mean_loss(self) -> float:
        """Return the mean loss of the steps since it was last asked for.

        Raises:
            UserError: it is NaN or infinite.
        """
        mean = float(ranks.total(self.loss_sum)) / self.loss_count
        if not math.isfinite(mean):
            raise UserError(
                f"{self.run.name}: the training loss became {mean} by step {self.steps.done}."
                f" Lower learning_rate (now {self.recipe.learning_rate}) in its overrides."
            )
        self.loss_sum.zero_()
        self.loss_count = 0
        return mean

    def validated(self, mean: float, metrics: dict[str, float]) -> None:
        """Add a row to the history and keep the averaged weights if they are the best so far."""
        named = {f"validation_{name}": value for name, value in metrics.items()}
        self.run.record(step=self.steps.done, train_loss=mean, **named)
        if not self.best or self.keep == "last" or metrics["loss"] < self.best["value"]:
            self.best = {"metric": "validation_loss", "value": metrics["loss"], "step": self.steps.done}
            self.best_weights = {key: value.clone() for key, value in self.ema.average.state_dict().items()}

    def finish(self) -> None:
        """Put the best weights into the model and tell the run how it ended."""
        self.run.finish(last=self.model.state_dict(), steps=self.steps.done, best=self.best)
        if ranks.is_first():
            self.model.load_state_dict(self.best_weights)
        ranks.hand_out(self.model)
        _lay_out_contiguously(self.model)
        self.model.eval()
        # Left, they would count in the norm where the model is a part of what is trained next.
        self.optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.steps.done,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema.state_dict(),
            "loss_sum": ranks.stacked(self.loss_sum),
            "loss_count": self.loss_count,
            "best": self.best,
            "best_weights": self.best_weights,
        }

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps.done, self.loss_count, self.best = state["step"], state["loss_count"], state["best"]
        self.loss_sum.copy_(state["loss_sum"][ranks.number()])
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for parameter, slots in self.optimizer.state.items():
            for key, value in slots.items():
                if value.shape == parameter.shape:  # the fused kernel wants the parameter's memory format
                    slots[key] = torch.empty_like(parameter).copy_(value)
        self.ema.load_state_dict(state["ema"])
        self.best_weights = {key: value.to(self.run.device) for key, value in state["best_weights"].items()}


def _lay_out_contiguously(model: nn.Module) -> None:
    """Give the weights the memory that they have in a model that was built and loaded.

    A convolution whose kernel lies channels-last in memory is another kernel's, which rounds differently: the model
    that was trained would not answer as its checkpoint does. ``Module.to`` is not enough: it leaves the strides of a
    kernel that counts as both, such as one of a single input channel, and the choice is made by the strides.
    """
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.clone(memory_format=torch.contiguous_format)


def _adamw(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """Return AdamW (Loshchilov & Hutter 2019) that decays matrices and kernels, not biases and scales."""
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    shares = recipe.rates(list(named))
    groups = [
        {
            "params": [p for name, p in named.items() if shares[name] == share and (p.ndim >= 2) == decays],
            "weight_decay": recipe.weight_decay if decays else 0.0,
            "share": share,
        }
        for share in dict.fromkeys(shares.values())
        for decays in (True, False)
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=recipe.learning_rate, fused=True
    )
