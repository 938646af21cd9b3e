"""Bases to fine-tune in tests, as users bring them, and what transformers says of the result."""

from __future__ import annotations

from pathlib import Path

import torch

import models
from data.prepared import PreparedData
from models.run import Run
from models.settings import configure

FAMILY = "hf_classifier"
SHORT = {"source_epochs": 2, "epochs": 1, "least_steps": 2, "width": 16, "depth": 1}
NAMES = tuple("0123456789")


def train(data: PreparedData, preset: str = "quick", seed: int = 0, **overrides: object):
    family = models.family(FAMILY)
    config = configure(family.Config, preset, overrides, "params.yaml: models.m.overrides")
    with Run("fine", seed=seed) as run:
        model = family.build(config, data.spec)
        family.fit(model, data, run)
    return model, run


def write_base(
    folder: Path, classes: tuple[str, ...], processor: dict | None = None, kind: str = "ViT", **config: object
) -> Path:
    """Write a small untrained base with transformers alone, as a user would bring one."""
    import transformers

    labels = {"id2label": dict(enumerate(classes)), "label2id": {name: i for i, name in enumerate(classes)}}
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    sizes |= {"image_size": 12, "patch_size": 4}
    if kind == "ResNet":
        sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
    torch.manual_seed(1)
    network = getattr(transformers, f"{kind}ForImageClassification")(
        getattr(transformers, f"{kind}Config")(**sizes | config, **labels)
    )
    network.save_pretrained(folder)
    processor = {"size": {"height": 12, "width": 12}} if processor is None else processor
    transformers.ViTImageProcessor(**processor).save_pretrained(folder)
    return folder
