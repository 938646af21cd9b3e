"""Which family has which optional function: the stages and commands ask for them by name, and do without in silence."""

from __future__ import annotations

REQUIRED = {"build", "fit", "graph"}
HOOKS = {
    "attention": ("encoder_decoder", "transformer", "vit"),
    "decode": ("hmm",),
    "fill_in": ("ddpm", "gmm", "hmm", "vae"),
    "footprint": ("gmm", "hmm", "logreg", "svm"),
    "interpolate": ("ddpm", "gan", "vae"),
    "log_likelihood": ("gmm", "hmm", "vae"),
    "memory": ("rnn",),
    "personalise": ("head",),
    "query_attention": ("detr",),
    "reconstruct": ("controlnet", "dreambooth", "lora", "text_to_image", "vae"),
    "save_pretrained": ("hf_classifier", "lora"),
    "start": ("controlnet", "dreambooth", "lora"),
    "trajectory": ("ddpm",),
    "traverse": ("vae",),
    "word_attention": ("dreambooth", "lora", "text_to_image"),
}
"""Hook to families. A family that loses one, or gets one that is not here, fails the contract."""
ONE_DEVICE = ("gmm", "hmm", "logreg", "svm")
"""Families that are fitted by other means than steps down a gradient of a batch: no ranks can share that."""
WALKS = [(walk, family) for walk in ("interpolate", "traverse", "trajectory") for family in HOOKS[walk]]
