"""Segmenter (Strudel et al. 2021): the vision transformer, and a decoder that reads patches and classes together.

Each class has an embedding that the decoder reads beside the patches'; what it makes of the two, multiplied, says how
well a patch fits a class. Three changes suit small images and short trainings: a few convolutions before the patches
(Xiao et al. 2021, "Early convolutions help transformers see better"), with shortcuts (He et al. 2016); an embedding for
each pixel of a patch (as in Shi et al. 2016, section 3.2) in place of masks of patches made larger; and added to it
what convolutions see there, one at the pixel itself and each width of the stem (the skips of a U-Net, Ronneberger et
al. 2015): the stem need not learn through the transformer alone, and classes are told apart in fewer steps.

Shapes: image uint8 [N, H, W, C] -> patches [N, P, width] -> encoder, the same shape -> with the classes' embeddings
[N, P + 1 + K, width] -> decoder, the same shape -> pixels [N, H, W, pixels] times classes [N, 1 + K, pixels] -> logits
[N, 1 + K, H, W] -> mask uint8 [N, H, W], 0 the ground and k + 1 class k. With ``backbone`` a network of torchvision,
or EfficientNet-Lite0, is in the place of the stem: its five maps are what the stem's widths are.
"""

from models.segmenter.config import Config
from models.segmenter.fit import fit
from models.segmenter.network import Segmenter, build, graph

TASK = "segmentation"
PRETRAINED = True

__all__ = ["PRETRAINED", "TASK", "Config", "Segmenter", "build", "fit", "graph"]
