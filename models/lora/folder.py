"""The adapters alone, as a folder of peft's: ``adapter_config.json`` and ``adapter_model.safetensors``."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from data import atomic
from models.lora.network import Adapted

PREFIX = "base_model.model."
"""What peft puts before the name of a weight."""


def save_pretrained(model: Adapted, folder: Path) -> None:
    """Write the adapters into ``folder``, which is made: a few kilobytes, to be given on without the base."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        f"{PREFIX}{name}": value.detach().cpu().contiguous().clone()
        for name, value in model.state_dict().items()
        if ".lora_" in name
    }
    with atomic.file(folder / "adapter_model.safetensors") as temporary:
        save_file(weights, temporary, metadata={"format": "pt"})
    modules = sorted({name.split(".")[-3] for name in weights})
    description = {
        "peft_type": "LORA",
        "r": model.teaching.rank,
        "lora_alpha": model.teaching.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": modules,
        "init_lora_weights": True,
    }
    atomic.write_json(folder / "adapter_config.json", description)
