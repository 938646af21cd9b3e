"""Neural network: linear layers with an activation between, fitted by backpropagation (Rumelhart et al. 1986).

Shapes: image uint8 [N, H, W, C] -> standardised pixels [N, D] -> hidden [N, width] ... -> logits [N, K].
"""

from models.mlp.config import Config
from models.mlp.fit import fit
from models.mlp.network import MLP, build, graph

TASK = "classification"
VARIANTS = ("int8",)

__all__ = ["MLP", "TASK", "VARIANTS", "Config", "build", "fit", "graph"]
