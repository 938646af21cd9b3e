"""Head model: a face in any pose from landmarks and a few pictures of somebody (Zakharov et al. 2019).

"Few-shot adversarial learning of realistic neural talking head models" (arXiv:1905.08233), in a simple form: an
embedder turns the pictures (shots) into an identity vector; a generator paints the landmarks as a face of that
identity, which adaptive instance normalisation tells it; a discriminator judges patches, and the L1 distance holds the
face to the right one. It is trained on many people, so that somebody new needs one picture or a few; ``personalise``
then fits it to those.

Shapes: landmarks float32 [N, L, 2], shots uint8 [N, S, H, W, C] -> image uint8 [N, H, W, C].
"""

from models.head.config import Config
from models.head.fit import fit
from models.head.network import HeadModel, build, graph
from models.head.personalise import personalise

TASK = "reenactment"

__all__ = ["TASK", "Config", "HeadModel", "build", "fit", "graph", "personalise"]
