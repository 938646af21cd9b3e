"""LoRA's adapters read by peft: ``python -m benchmarks.lora_peft CHECKPOINT``, in an environment that has peft.

CHECKPOINT is the ``train`` folder of a ``lora``. The base is made from it without its adapters, peft puts on what
``save_pretrained`` wrote, and both answer the same mixtures, in float64.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import peft
import torch

from models import checkpoint, lora, text_to_image


def main(folder: Path) -> None:
    """Print the largest differences between the model in ``folder`` and peft's."""
    ours = checkpoint.load(folder).model.eval()
    theirs = text_to_image.build(ours.config, ours.spec).eval()
    weights = ours.state_dict() | {"text.embed.weight": ours.text.embed.merged().weight}
    theirs.load_state_dict({name: weights[name] for name in theirs.state_dict()})
    with tempfile.TemporaryDirectory() as written:
        lora.save_pretrained(ours, Path(written))
        adapted = peft.PeftModel.from_pretrained(theirs, written)
    read = sum(value.numel() for name, value in adapted.named_parameters() if ".lora_" in name)
    own = sum(value.numel() for name, value in ours.named_parameters() if ".lora_" in name)
    print(f"peft {peft.__version__}: {read} numbers in adapters, {own} in ours")
    generator = torch.Generator().manual_seed(0)
    mixture = torch.randn(64, *ours.shape, generator=generator)
    times = torch.randint(ours.config.times, (64,), generator=generator)
    tokens = torch.randint(len(ours.spec.words) + 2, (64, ours.spec.longest_caption), generator=generator)
    for kind in (torch.float32, torch.float64):
        ours.to(kind), adapted.to(kind)
        with torch.no_grad():
            right = adapted.base_model.model(mixture.to(kind), times, *adapted.base_model.model.text(tokens))
            mine = ours(mixture.to(kind), times, *ours.text(tokens))
            adapted.disable_adapter_layers()
            without = adapted.base_model.model(
                mixture.to(kind), times, *adapted.base_model.model.text(tokens)
            )
            adapted.enable_adapter_layers()
        apart, effect = (mine - right).abs().max().item(), (without - right).abs().max().item()
        print(
            f"{kind}: ours and peft's differ by {apart:.1e} at most, with and without adapters by {effect:.1e}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
