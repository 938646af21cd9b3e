"""What was learned alone, as a folder that peft reads, and beside it the vectors of new words."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file

from data import atomic
from data.captions import FIRST
from models.lora.network import Adapted

PREFIX = "base_model.model."
"""What peft puts before the name of a weight."""
TARGETS = r"unet\..*attention\.(query|key_value|out)"
"""The layers with adapters: peft wants the whole name to match, so that the text encoder's attention is left alone."""


def save_pretrained(model: Adapted, folder: Path) -> None:
    """Write what was learned into ``folder``, which is made: to be given on without the base, which is far larger.

    ``adapter_model.safetensors`` and ``adapter_config.json`` are peft's; ``learned_embeds.safetensors`` holds the
    vector float32 [D] of each new word by the word, as textual inversion has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        f"{PREFIX}{name}": value.detach().cpu().contiguous().clone()
        for name, value in model.state_dict().items()
        if ".lora_" in name
    }
    with atomic.file(folder / "adapter_model.safetensors") as temporary:
        save_file(weights, temporary, metadata={"format": "pt"})
    vectors, is_new = model.text.embed.merged().weight.detach().cpu(), model.text.embed.is_new.cpu()
    words = {word: vectors[row].clone() for row, word in enumerate(model.spec.words, FIRST) if is_new[row]}
    with atomic.file(folder / "learned_embeds.safetensors") as temporary:
        save_file(words, temporary, metadata={"format": "pt"})
    description = {
        "peft_type": "LORA",
        "r": model.teaching.rank,
        "lora_alpha": model.teaching.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": TARGETS,
        "init_lora_weights": True,
    }
    atomic.write_json(folder / "adapter_config.json", description)
