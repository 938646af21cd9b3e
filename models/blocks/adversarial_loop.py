"""Training of a generator against a discriminator: two optimizers, averaged generator, exact resume of all of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from data.errors import UserError
from data.prepared import PreparedData
from models import ranks
from models.blocks import synced_norm
from models.blocks.adversarial import LossName, told_apart
from models.blocks.batches import Batches, parts
from models.blocks.ema import EMA
from models.blocks.pixels import unit
from models.blocks.steps import Steps
from models.run import Run
from models.settings import Settings

DiscriminatorLoss = Callable[..., tuple[Tensor, Tensor, Tensor]]
"""(images float32 [N, C, H, W] in [0, 1], labels int64 [N]) -> loss, scores of real and of generated images."""
GeneratorLoss = Callable[..., Tensor]
"""(images and labels as above) -> loss."""
Validate = Callable[[nn.Module, Batches], dict[str, float]]
"""(averaged generator, the validation split) -> metrics for the history."""

SUMS = ("generator_loss", "discriminator_loss", "accuracy_real", "accuracy_fake")


class AdversarialRecipe(Settings):
    """The settings of an adversarial training; families inherit them in their ``Config``.

    Attributes:
        epochs: passes over the train split.
        least_steps: steps that a small data set gets nevertheless, by more passes; not where overrides name
            ``epochs``.
        batch_size: images a step (all of the train split where it has fewer).
        loss: what the two play for, by its name in :mod:`models.blocks.adversarial`.
        learning_rate: the generator's; constant, and over the second half of the steps it falls linearly to 0.
        discriminator_learning_rate: the discriminator's, which falls alike.
        beta1: Adam's decay of the gradient's mean, in both; momentum makes the game circle.
        beta2: Adam's decay of the gradient's square.
        discriminator_steps: steps of the discriminator for each of the generator.
        ema_decay: of the averaged generator, which is the one that is used.
    """

    FLOORS: ClassVar[Mapping[str, str]] = {"epochs": "least_steps"}
    AUTO: ClassVar[tuple[str, ...]] = ("batch_size",)

    epochs: int = Field(default=10, ge=1)
    least_steps: int = Field(default=1, ge=1)
    batch_size: int = Field(default=64, ge=2)
    loss: LossName = "non_saturating"
    learning_rate: float = Field(default=1e-3, gt=0)
    discriminator_learning_rate: float = Field(default=1e-3, gt=0)
    beta1: float = Field(default=0.0, ge=0, lt=1)
    beta2: float = Field(default=0.99, ge=0, lt=1)
    discriminator_steps: int = Field(default=1, ge=1)
    ema_decay: float = Field(default=0.999, ge=0, lt=1)


def train(
    model: nn.Module,
    data: PreparedData,
    run: Run,
    discriminator_loss: DiscriminatorLoss,
    generator_loss: GeneratorLoss,
    validate: Validate,
    *,
    tensors: tuple[str, ...] = ("images", "labels"),
) -> None:
    """Train ``model.generator`` and ``model.discriminator`` in place, by the recipe that ``model.config`` is.

    At the end the generator holds its averaged weights, and the model is in evaluation mode. The losses are called
    with what ``tensors`` names of a batch: the images in [0, 1], all else as it is stored.
    Neither loss says how good the images are, so that no step is better than another: the last average is used.
    Every epoch ends with a validation and a row of the history. The last epoch may be a part of one.

    Raises:
        UserError: a loss became NaN or infinite.
    """
    recipe: AdversarialRecipe = model.config
    pair = nn.ModuleDict({"generator": model.generator, "discriminator": model.discriminator})
    with synced_norm.across_ranks(pair):
        game = _Game(pair.to(run.device), recipe, run, len(data.train))
        held_out = Batches(data.validation, run.device, tensors=tensors) if ranks.is_first() else None
        for images, *others in game.steps.batches(Batches(data.train, run.device, tensors=tensors)):
            x_bchw = unit(images)
            game.update_discriminator(discriminator_loss, x_bchw, *others)
            if game.steps.done % recipe.discriminator_steps == 0:
                game.update_generator(generator_loss, x_bchw, *others)
            if game.steps.at_epoch_end:
                means = game.means()
                if held_out is not None:
                    game.validated(means, validate(game.ema.average, held_out))
            if not game.steps.finished and run.save_due():
                run.save(game.state_dict())
        game.finish()
    model.eval()


class _Game:
    """Everything that changes while training, so that all of it can be saved and restored."""

    def __init__(self, pair: nn.ModuleDict, recipe: AdversarialRecipe, run: Run, num_images: int) -> None:
        self.pair, self.recipe, self.run = pair, recipe, run
        self.steps = Steps(recipe, run, num_images)
        ranks.set_out(pair)
        rates = {"generator": recipe.learning_rate, "discriminator": recipe.discriminator_learning_rate}
        self.optimizers = {
            name: torch.optim.Adam(
                pair[name].parameters(), lr=rate, betas=(recipe.beta1, recipe.beta2), fused=True
            )
            for name, rate in rates.items()
        }
        self.rates = rates
        self.ema = EMA(pair["generator"], recipe.ema_decay)
        self.sums = torch.zeros(len(SUMS), dtype=torch.float64, device=run.device)
        self.counts = torch.zeros(len(SUMS), dtype=torch.float64)
        state = run.restore()
        if state is not None:
            self._load_state_dict(state)

    def update_discriminator(self, loss: DiscriminatorLoss, x_bchw: Tensor, *others: Tensor) -> None:
        """Take one step of the discriminator, and count it."""
        self.pair.train()
        scores: list[tuple[Tensor, Tensor]] = []

        def of_part(*part: Tensor) -> Tensor:
            value, *told = loss(*part)
            scores.append(tuple(each.detach() for each in told))
            return value

        value = self._descend("discriminator", of_part, x_bchw, *others)
        self.steps.done += 1
        self._add({"discriminator_loss": value})
        real, fake = (torch.cat(column) for column in zip(*scores, strict=True))
        # Of this rank's rows, as much as they are of the batch: added up over the ranks it is that of all.
        own = len(x_bchw) / self.steps.size
        accuracies = (own * share for share in told_apart(self.recipe.loss, real, fake))
        self._add(dict(zip(("accuracy_real", "accuracy_fake"), accuracies, strict=True)))
        self.run.images += self.steps.size
        self.steps.show()

    def update_generator(self, loss: GeneratorLoss, x_bchw: Tensor, *others: Tensor) -> None:
        """Take one step of the generator; the discriminator stays as it is."""
        self.pair["discriminator"].requires_grad_(False)
        value = self._descend("generator", loss, x_bchw, *others)
        self.pair["discriminator"].requires_grad_(True)
        if ranks.is_first():
            self.ema.update()
        self._add({"generator_loss": value})

    def means(self) -> dict[str, float]:
        """Return losses and accuracies by name, means since they were last asked for.

        Raises:
            UserError: one is NaN or infinite.
        """
        means = (ranks.total(self.sums).cpu() / self.counts).tolist()
        row = {name: mean for name, mean, count in zip(SUMS, means, self.counts, strict=True) if count}
        broken = [name for name, mean in row.items() if not math.isfinite(mean)]
        if broken:
            raise UserError(
                f"{self.run.name}: {broken[0]} became {row[broken[0]]} by step {self.steps.done}."
                f" Lower learning_rate (now {self.recipe.learning_rate}) in its overrides."
            )
        self.sums.zero_()
        self.counts.zero_()
        return row

    def validated(self, means: dict[str, float], metrics: dict[str, float]) -> None:
        """Add a row to the history."""
        named = {f"validation_{key}": value for key, value in metrics.items()}
        self.run.record(step=self.steps.done, **means, **named)

    def finish(self) -> None:
        """Put the averaged weights into the generator and tell the run how it ended."""
        generator, discriminator = self.pair["generator"], self.pair["discriminator"]
        last = {f"generator.{key}": value for key, value in generator.state_dict().items()}
        last |= {f"discriminator.{key}": value for key, value in discriminator.state_dict().items()}
        best = {
            "metric": "the last averaged generator",
            "value": self.recipe.ema_decay,
            "step": self.steps.done,
        }
        self.run.finish(last=last, steps=self.steps.done, best=best)
        if ranks.is_first():
            generator.load_state_dict(self.ema.average.state_dict())
        ranks.hand_out(self.pair)

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.steps.done,
            "pair": self.pair.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "ema": self.ema.state_dict(),
            "sums": ranks.stacked(self.sums),
            "counts": self.counts,
        }

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps.done = state["step"]
        self.pair.load_state_dict(state["pair"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.ema.load_state_dict(state["ema"])
        self.sums.copy_(state["sums"][ranks.number()])
        self.counts.copy_(state["counts"])

    def _descend(self, name: str, loss: Callable[..., Tensor], x_bchw: Tensor, *others: Tensor) -> Tensor:
        """Take a step down the gradient, summed over a large batch's parts and over ranks; return this rank's loss."""
        left = 1 - self.steps.share
        optimizer = self.optimizers[name]
        for group in optimizer.param_groups:
            group["lr"] = self.rates[name] * min(1.0, 2 * left)
        optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), dtype=torch.float64, device=x_bchw.device)
        for part in parts(self.steps.size, x_bchw, *others):
            with self.run.autocast(), ranks.sharing(part.share):
                value = loss(*part.tensors) * part.weight
            value.backward()
            total += value.detach()
        ranks.add_up(self.pair[name].parameters())
        optimizer.step()
        return total

    def _add(self, values: dict[str, Tensor]) -> None:
        for name, value in values.items():
            self.sums[SUMS.index(name)] += (
                value.detach()
            )  # stays on the device: reading it would make a GPU wait
            self.counts[SUMS.index(name)] += 1
