"""Logistic regression with L2 penalty, solved to its optimum (Bishop 2006, section 4.3.4).

The loss is convex: full-batch L-BFGS (Liu & Nocedal 1989) finds the one optimum, the same as scikit-learn's
``LogisticRegression``. The penalty's weight is chosen on the validation split.

Shapes: image uint8 [N, H, W, C] -> pixels in [0, 1], [N, D] -> logits [N, K].
"""

from models.logreg.config import Config
from models.logreg.fit import fit
from models.logreg.footprint import footprint
from models.logreg.network import LogisticRegression, build, graph

TASK = "classification"
ONE_DEVICE = True

__all__ = ["ONE_DEVICE", "TASK", "Config", "LogisticRegression", "build", "fit", "footprint", "graph"]
