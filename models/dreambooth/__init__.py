"""A subject from a handful of pictures (Ruiz et al. 2023, "DreamBooth: Fine Tuning Text-to-Image Diffusion Models for
Subject-Driven Generation").

A trained text-to-image model goes on learning, the whole of its U-Net and of its text encoder, from about five pictures
of one subject. Their captions name it by a word that means nothing yet, before the noun of its class: "a red zib four"
(section 3.2). Beside each picture it learns one that it drew itself beforehand, from a caption without the subject, so
that what it knew stays known and not every four becomes that four (section 3.3, prior preservation).

Shapes: those of ``text_to_image``, which it is after the training, with more words.
"""

from models.dreambooth.config import Config
from models.dreambooth.fit import fit
from models.dreambooth.network import SubjectDiffusion, build, start
from models.text_to_image import graph, reconstruct, word_attention

BASE = "text_to_image"
TASK = "text_to_image"

__all__ = [
    "BASE",
    "TASK",
    "Config",
    "SubjectDiffusion",
    "build",
    "fit",
    "graph",
    "reconstruct",
    "start",
    "word_attention",
]
