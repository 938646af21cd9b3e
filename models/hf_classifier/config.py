"""Settings of the fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from models.blocks.classify import Classifying
from models.blocks.loop import Recipe
from models.blocks.patches import Patched
from models.hf_classifier import pretrained
from models.hf_classifier.pretrained import Pretrained

OWN, SCRATCH = "own", "scratch"


class Config(Classifying, Patched):
    """What an ``hf_classifier`` can be told; ``epochs`` and ``learning_rate`` are those of the fine-tuning.

    Patches and encoder are the own base's; images are resized to a multiple of the patch where they are none.

    Attributes:
        base: what to start from: a folder that ``save_pretrained`` wrote, a name on the Hugging Face hub
            (``name@revision`` pins it), ``own`` for a small ViT that first learns half of the classes, ``scratch`` for
            that ViT untrained.
        pretrained: what lies in the folder or on the hub. It is read when the training starts and kept in the
            checkpoint, so that the model can be built without its base; nobody needs to set it.
        head: ``new`` for a fresh last layer, ``keep`` for the base's, whose classes must then be the data set's.
        shots: labelled images of each class that are learned from, and as many that choose the best weights; 0 for all.
        freeze: what of the base stays as it is: nothing, its ``embeddings`` or its ``backbone`` (all but the
            last layer).
        source_epochs: passes over the images that the own base learns from, all of half of the classes.
        source_least_steps: steps that few of them get nevertheless; not where overrides name ``source_epochs``.
        source_learning_rate: its highest learning rate.
    """

    FLOORS: ClassVar[Mapping[str, str]] = {**Patched.FLOORS, "source_epochs": "source_least_steps"}

    base: str = OWN
    pretrained: Pretrained | None = None
    head: Literal["new", "keep"] = "new"
    shots: int = Field(default=20, ge=0)
    freeze: Literal["none", "embeddings", "backbone"] = "none"
    source_epochs: int = Field(default=5, ge=1)
    source_least_steps: int = Field(default=1, ge=1)
    source_learning_rate: float = Field(default=2e-3, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _read_the_base(cls, values: Any) -> Any:
        named = isinstance(values.get("base", OWN), str) and values.get("base", OWN) not in (OWN, SCRATCH)
        if named and not values.get("pretrained"):
            return values | {"pretrained": pretrained.read(values["base"])}
        return values

    @model_validator(mode="after")
    def _keep_what_there_is(self) -> Config:
        if self.head == "keep" and self.pretrained is None:
            raise ValueError(
                f"head: 'keep' needs a folder or a hub name as base, not {self.base!r}; use 'new'"
            )
        return self

    def source(self) -> Recipe:
        """Return the recipe by which the own base learns its classes."""
        own = {
            "epochs": self.source_epochs,
            "least_steps": self.source_least_steps,
            "learning_rate": self.source_learning_rate,
        }
        return Recipe(**{key: getattr(self, key) for key in Recipe.model_fields} | own)

    @classmethod
    def quick(cls) -> Config:
        """Two CPU cores: seconds on digits, some minutes on Fashion-MNIST."""
        return cls(
            depth=3,
            shift=1,
            epochs=20,
            least_steps=300,
            batch_size=32,
            learning_rate=4e-3,
            weight_decay=0.05,
            source_epochs=4,
            source_least_steps=300,
            source_learning_rate=3e-3,
        )

    @classmethod
    def full(cls) -> Config:
        """One GPU: a deeper base on smaller patches, pre-trained for longer, with cutout."""
        return cls(
            grid=14,
            width=192,
            depth=8,
            heads=6,
            hidden=576,
            shift=2,
            cutout=8,
            epochs=50,
            least_steps=500,
            batch_size=128,
            learning_rate=5e-4,
            weight_decay=0.1,
            source_epochs=60,
            source_least_steps=500,
            source_learning_rate=1e-3,
        )
