"""Fine-tuning of a Hugging Face image classifier on few labels a class.

A base that has learned on other classes knows edges, shapes and textures already; a new last layer and a few labelled
images turn it into a classifier of new classes (Yosinski et al. 2014, "How transferable are features in deep neural
networks?"). The base is any `AutoModelForImageClassification`, from a folder or the hub, or our own small ViT
(Dosovitskiy et al. 2021) that first learns half of the classes.

Shapes: image uint8 [N, H, W, C] -> the base's image processor: resized, cropped, standardised [N, C', H', W'] ->
base -> logits [N, K]. The trained folder holds one that `transformers.pipeline("image-classification")` reads.
"""

from models.hf_classifier.config import Config
from models.hf_classifier.fit import fit
from models.hf_classifier.folder import save_pretrained
from models.hf_classifier.network import FineTuned, build, graph

TASK = "classification"
PRETRAINED = True
VARIANTS = ("int8",)

__all__ = [
    "PRETRAINED",
    "TASK",
    "VARIANTS",
    "Config",
    "FineTuned",
    "build",
    "fit",
    "graph",
    "save_pretrained",
]
