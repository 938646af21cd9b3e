"""Recurrent network that reads an image row by row (Elman 1990; Hochreiter & Schmidhuber 1997; Cho et al. 2014).

The vanilla cell has an input weight u, a hidden weight w and an output weight v: ``h_t = tanh(u x_t + w h_(t-1) + b)``,
``o = v h_T``. LSTM and GRU put gates into the step from h to h, which lets them remember for longer.

Shapes: image uint8 [N, H, W, C] -> rows [N, H, W * C] -> hidden [N, H, width] -> logits [N, K].
"""

from models.rnn.config import Config
from models.rnn.fit import fit
from models.rnn.memory import memory
from models.rnn.network import RecurrentNetwork, build, graph

TASK = "classification"

__all__ = ["TASK", "Config", "RecurrentNetwork", "build", "fit", "graph", "memory"]
