"""Starting from weights that were trained on other data: which are taken, which stay, and how fast the rest changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field
from torch import Tensor, nn

from data.errors import UserError
from models.blocks import weight_files
from models.blocks.backbones import Backbone
from models.settings import Settings

FEATURES = "features.network."
"""What the names of a backbone's weights begin with in a network that stands on it."""

_LAST = "last"
"""The layer of all that is new."""


class FineTuning(Settings):
    """The settings of a training that may start from other weights.

    Attributes:
        base: folder of the weights; the ``base`` of the model's entry gives it, and nobody needs to set it.
        freeze: what of the base stays as it is: nothing, or its ``backbone`` (all but what is new).
        layer_decay: by what the learning rate is multiplied from each layer to the one below it (Bao et al. 2022,
            BEiT); 1 for the same rate everywhere. All that stands on a backbone of others is one layer.
    """

    NEW: ClassVar[tuple[str, ...]] = ("classify",)
    """Names of the network's parts and parameters that are for the data set's classes, and so new for each."""

    base: str | None = None
    freeze: Literal["none", "backbone"] = "none"
    layer_decay: float = Field(default=1.0, gt=0, le=1)

    def rates(self, names: Sequence[str]) -> dict[str, float]:
        """Return of each parameter, by name and in the order of the network, the share of the learning rate it gets."""
        backed = any(name.startswith(FEATURES) for name in names)
        layers = {
            name: _LAST
            if is_part(name, self.NEW) or (backed and not name.startswith(FEATURES))
            else _layer(name)
            for name in names
        }
        order = [*dict.fromkeys(layer for layer in layers.values() if layer != _LAST), _LAST]
        return {
            name: self.layer_decay ** (len(order) - 1 - order.index(layer)) for name, layer in layers.items()
        }


class FewShots(FineTuning):
    """Those of a training that may be on few labels.

    Attributes:
        shots: labelled images of each class that are learned from, and as many that choose the best weights; 0 for all.
    """

    shots: int = Field(default=0, ge=0)


class Transferable(nn.Module):
    """A network that can start from weights: those of its own kind, or of its backbone ``features``."""

    config: FineTuning

    def is_kept(self, name: str) -> bool:
        """Say whether the part or parameter ``name`` stays as it is where the backbone is frozen."""
        return not is_part(name, self.config.NEW)

    def train(self, mode: bool = True) -> Self:
        """Set the mode; what is frozen stays as for an answer, or its batch norms would change."""
        super().train(mode)
        if self.config.freeze == "backbone":
            for name, part in self.named_modules():
                if name and self.is_kept(name):
                    part.eval()
        return self

    def take_base(self) -> None:
        """Put the weights of the folder ``config.base`` into the network.

        Raises:
            UserError: they are another architecture's.
        """
        config = self.config
        files = weight_files.in_folder(Path(config.base))
        tensors, where = weight_files.read(files), f"base: {files[0] if files else config.base}"
        backbone = getattr(self, "features", None)
        own = any(is_part(name, config.NEW) for name in tensors)
        if isinstance(backbone, Backbone) and not own:
            fit_in(backbone.network, tensors, where, backbone.head)
        else:
            fit_in(self, tensors, where, *config.NEW)


def begin(model: Transferable) -> None:
    """Put the weights of ``model.config.base`` into ``model``, and freeze what the settings say.

    Raises:
        UserError: the weights are another architecture's, or there are none that could be frozen.
    """
    config = model.config
    if config.base is not None:
        model.take_base()
    if config.freeze == "backbone":
        if config.base is None:
            raise UserError(
                "overrides.freeze: 'backbone' keeps what was learned before, but the model has no base. Put it under"
                " 'pretrained' of params.yaml with a 'base', or leave freeze out."
            )
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not model.is_kept(name))


def is_part(name: str, parts: Iterable[str]) -> bool:
    """Say whether ``name`` is one of ``parts`` or lies in one of them."""
    return any(f"{name}.".startswith(f"{part}.") for part in parts)


def fit_in(module: nn.Module, tensors: Mapping[str, Tensor], where: str, *new: str) -> None:
    """Load ``tensors`` into ``module``, of both all but the parts called ``new``.

    Raises:
        UserError: a tensor is missing, is one too many, or has another shape: the first is named.
    """
    wanted, given = (
        {name: value for name, value in values.items() if not is_part(name, new)}
        for values in (module.state_dict(), tensors)
    )
    # Some files leave out how many batches a batch norm has seen, which nothing reads.
    needed = [name for name in wanted if not name.endswith("num_batches_tracked")]
    wrong = [
        *(f"has no {name!r}" for name in needed if name not in given),
        *(f"has {name!r}, which the network has not" for name in given if name not in wanted),
        *(
            f"has {name!r} of shape {tuple(given[name].shape)}, and the network of {tuple(wanted[name].shape)}"
            for name in wanted
            if name in given and given[name].shape != wanted[name].shape
        ),
    ]
    if wrong:
        raise UserError(
            f"{where}: holds the weights of another architecture: it {wrong[0]}; {len(wrong)} such differences. Name in"
            " overrides the backbone, or the settings, that they were trained with, or take another base."
        )
    module.load_state_dict(given, strict=False)


def _layer(name: str) -> str:
    """Return the layer of a parameter: its module's path up to the first part that ends in a number, if any."""
    parts = name.removeprefix(FEATURES).split(".")[:-1]
    numbered = next((place for place, part in enumerate(parts, 1) if part[-1].isdigit()), len(parts))
    return ".".join(parts[:numbered])
