"""Random changes of single photographs by torchvision, made on the CPU ahead of the step that sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Generator, Tensor
from torch.overrides import TorchFunctionMode

from models.settings import Settings

Change = Callable[[Tensor, Generator], Tensor]
"""(uint8 [H, W, C], generator) -> the same shape."""

_ASPECTS = (3 / 4, 4 / 3)
"""Of the part that a crop keeps, against the picture's own."""
_DRAWING = frozenset({torch.rand, torch.randint, torch.randperm, Tensor.uniform_})
"""Whatever the transforms below draw by."""


class Augmentation(Settings):
    """How photographs are changed while a classifier learns; one of it at least.

    Attributes:
        crop: least share of the picture that is kept, at random, and brought back to its size; 1 for all of it
            (Szegedy et al. 2015; ``RandomResizedCrop``).
        flip: mirror left to right at random.
        jitter: by what share of it brightness, contrast and saturation change at most (``ColorJitter``).
        policy: one random operation of fourteen, of random strength (``trivial``: Müller & Hutter 2021,
            ``TrivialAugmentWide``), two of middle strength (``random``: Cubuk et al. 2020, ``RandAugment``), or none.
    """

    crop: float = Field(default=1.0, gt=0, le=1)
    flip: bool = False
    jitter: float = Field(default=0.0, ge=0, le=1)
    policy: Literal["none", "trivial", "random"] = "none"

    @model_validator(mode="after")
    def _changes_something(self) -> Augmentation:
        if self == Augmentation.model_construct():
            raise ValueError("changes nothing: give crop, flip, jitter or policy, or leave it out")
        return self

    def change(self, height: int, width: int) -> Change:
        """Return what changes a picture of this size; all that it draws comes from the generator that it is given."""
        from torchvision.transforms import v2  # takes seconds

        steps: list[Callable[[Tensor], Tensor]] = []
        if self.crop < 1:
            ratio = tuple(aspect * width / height for aspect in _ASPECTS)
            steps.append(v2.RandomResizedCrop((height, width), scale=(self.crop, 1), ratio=ratio))
        if self.flip:
            steps.append(v2.RandomHorizontalFlip())
        if self.policy != "none":
            steps.append({"trivial": v2.TrivialAugmentWide, "random": v2.RandAugment}[self.policy]())
        if self.jitter:
            steps.append(v2.ColorJitter(self.jitter, self.jitter, self.jitter))

        def changed(image_hwc: Tensor, generator: Generator) -> Tensor:
            image = image_hwc.permute(2, 0, 1)
            with Drawing(generator):
                for step in steps:
                    image = step(image)
            return image.permute(1, 2, 0)

        return changed


class Drawing(TorchFunctionMode):
    """Lets what is called in this thread draw from one generator, in place of the one that all threads share.

    torchvision's transforms have no generator of their own: with the shared one a picture would depend on which thread
    comes first, and dropout on how many pictures were changed.
    """

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self._generator = generator

    def __torch_function__(
        self, function: Any, types: Iterable[type], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Call ``function``."""
        given = {"generator": self._generator} if function in _DRAWING else {}
        return function(*args, **(kwargs or {}), **given)
