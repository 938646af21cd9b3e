"""The network: the base's image processor, the base, and a last layer for the data set's classes."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from data.errors import UserError
from data.prepared import DataSpec
from models.blocks.pixels import ClassifierGraph
from models.hf_classifier.config import Config
from models.hf_classifier.processor import BILINEAR, Processor


class FineTuned(nn.Module):
    """Images [N, C, H, W] in [0, 1] to logits [N, K].

    Attributes:
        processing: the image processor's settings, as ``preprocessor_config.json`` holds them.
        base: a transformers ``...ForImageClassification``.
    """

    def __init__(self, config: Config, spec: DataSpec, classes: tuple[str, ...]) -> None:
        super().__init__()
        self.config = config
        if config.pretrained is None:
            self.base, self.processing = _own(config, spec, classes)
        else:
            self.base = _named(config.pretrained.config, classes)
            self.processing = config.pretrained.processor
        channels = getattr(self.base.config, "num_channels", 3)
        self.process = Processor(self.processing, spec, channels)
        self.frozen()  # tells at once of a base that has no such part

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Return the logits."""
        return self.base(pixel_values=self.process(x_bchw)).logits

    def frozen(self) -> nn.Module | None:
        """Return the part that the fine-tuning leaves as it is.

        Raises:
            UserError: the base has no part of the name.
        """
        backbone = self.base.base_model
        if self.config.freeze == "backbone" and backbone is not self.base:
            return backbone
        if self.config.freeze == "embeddings":
            for name in ("embeddings", "embedder", "patch_embed"):
                if hasattr(backbone, name):
                    return getattr(backbone, name)
        if self.config.freeze != "none":
            kind = self.base.config.model_type
            raise UserError(f"freeze: a {kind!r} has no {self.config.freeze} of its own. Use 'none'.")
        return None

    def train(self, mode: bool = True) -> FineTuned:
        """Switch to training; what is frozen stays in evaluation mode, its dropout off and its statistics still."""
        super().train(mode)
        if (part := self.frozen()) is not None:
            part.eval()
        return self


def build(config: Config, spec: DataSpec) -> FineTuned:
    """Return the network with random weights; ``fit`` brings the base's."""
    return FineTuned(config, spec, spec.classes)


def graph(model: FineTuned) -> ClassifierGraph:
    """Return the module to export: uint8 [N, H, W, C] to probabilities [N, K]."""
    return ClassifierGraph(model).eval()


def _labels(classes: tuple[str, ...]) -> dict[str, Any]:
    return {"id2label": dict(enumerate(classes)), "label2id": {name: i for i, name in enumerate(classes)}}


def _own(config: Config, spec: DataSpec, classes: tuple[str, ...]) -> tuple[nn.Module, dict[str, Any]]:
    """Return a small ViT and its processing.

    It reads three channels also of grey images, because that is what ``pipeline()`` makes of every image file.
    """
    from transformers.models.vit import ViTConfig, ViTForImageClassification  # 3 s that only this family pays

    patch, grid = config.tiles(spec.height, spec.width)
    size = [length * number for length, number in zip(patch, grid, strict=True)]
    colours = 3 // spec.channels
    architecture = ViTConfig(
        image_size=size,
        patch_size=list(patch),
        num_channels=3,
        hidden_size=config.width,
        num_hidden_layers=config.depth,
        num_attention_heads=config.heads,
        intermediate_size=config.hidden,
        # 0.02 is for widths near 1,000; with it a narrow network hardly moves for hundreds of steps.
        initializer_range=config.width**-0.5,
        **_labels(classes),
    )
    processing = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": size[0], "width": size[1]},
        "resample": BILINEAR,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(spec.mean) * colours,
        # A data set of one flat colour has no spread: leave it as it is rather than divide by zero.
        "image_std": [value or 1.0 for value in spec.std] * colours,
    }
    return ViTForImageClassification(architecture), processing


def _named(values: dict[str, Any], classes: tuple[str, ...]) -> nn.Module:
    """Return the architecture that a base's ``config.json`` describes, with random weights."""
    from transformers import AutoConfig, AutoModelForImageClassification

    config = AutoConfig.for_model(**values | _labels(classes))
    return AutoModelForImageClassification.from_config(config)
