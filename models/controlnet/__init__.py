"""A text-to-image model that draws by an edge map as well (Zhang et al. 2023, "Adding Conditional Control to
Text-to-Image Diffusion Models").

The trained model stays as it is, locked. A copy of the U-Net's way down and middle is trained: it sees the edge map
beside the mixture, and what it makes of them is added to the locked one's features through convolutions that are zero
at first. So training begins at exactly what the locked model draws, and cannot spoil it.

Shapes: edge map uint8 [N, H, W, 1], prompt int64 [N, L], noise [N, Z, h, w] -> image uint8 [N, H, W, C].
"""

from models.controlnet.config import Config
from models.controlnet.fit import fit
from models.controlnet.network import Controlled, build, start
from models.controlnet.sample import graph
from models.text_to_image.sample import reconstruct

TASK = "controlled_generation"
BASE = "text_to_image"

__all__ = ["BASE", "TASK", "Config", "Controlled", "build", "fit", "graph", "reconstruct", "start"]
