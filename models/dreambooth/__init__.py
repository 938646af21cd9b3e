"""A subject from a few of its pictures (Ruiz et al. 2022, "DreamBooth: Fine Tuning Text-to-Image Diffusion Models for
Subject-Driven Generation").

Captions call the subject by a word that the model did not know, before the name of its class: "a zib seven". The whole
network but the autoencoder is trained on the pictures, and at the same time on pictures that it drew before, of other
captions and of the same ones without that word: else it would forget how other sevens look, and draw the subject for
each.

Shapes: as of ``text_to_image``, whose checkpoint it starts from: prompt int64 [N, L] -> image uint8 [N, H, W, C].
"""

from models.dreambooth.config import Config
from models.dreambooth.fit import build, fit
from models.text_to_image.attention_maps import word_attention
from models.text_to_image.sample import graph, reconstruct
from models.text_to_image.teaching import start

TASK = "text_to_image"
BASE = "text_to_image"

__all__ = ["BASE", "TASK", "Config", "build", "fit", "graph", "reconstruct", "start", "word_attention"]
