"""What is exported: a picture and the original's size in, a box, a score and a class of each query out."""

from __future__ import annotations

from torch import Tensor, nn

from models.blocks.in_pictures import in_pictures
from models.blocks.pixels import unit
from models.detr import boxes
from models.detr.network import Detr
from models.detr.rt_detr import RtDetr


class Detector(nn.Module):
    """Post-processing inside: no boxes to suppress, since the matching in training allows an object one query."""

    def __init__(self, network: Detr | RtDetr) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, size: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes float32 [N, Q, 4], scores float32 [N, Q] in [0, 1] and labels int64 [N, Q], query by query.

        Args:
            image: uint8 [N, H, W, C].
            size: int64 [N, 2]: height and width of the pictures before they were brought to H x W.
        """
        answers = self.network(unit(image))
        if self.network.config.classification == "cross_entropy":
            probabilities = answers.logits.softmax(dim=-1)[..., :-1]
        else:
            probabilities = answers.logits.sigmoid()
        scores, labels = probabilities.max(dim=-1)
        fit, target = self.network.fit, image.shape[1:3]
        return in_pictures(boxes.to_corners(answers.boxes), size, fit, target), scores, labels


def graph(model: Detr | RtDetr) -> Detector:
    """Return the module to export."""
    return Detector(model).eval()
