"""A mixture of Gaussians per class, fitted by expectation maximisation; the class follows by Bayes' rule.

EM: Dempster et al. 1977; covariances by MAP with an inverse-Wishart prior: Fraley & Raftery 2007; likelihood of
discrete pixels: Theis et al. 2016, "A note on the evaluation of generative models", section 3.1.

Shapes: image uint8 [N, H, W, C] -> pixels [N, D] in [0, 1] -> log p(x, class) [N, K] -> log p(x) [N] and the
posterior [N, K].
"""

from models.gmm.config import Config
from models.gmm.density import GaussianMixtures, build, graph, log_likelihood
from models.gmm.fill_in import fill_in
from models.gmm.fit import fit
from models.gmm.footprint import footprint

TASK = "density"
ONE_DEVICE = True

__all__ = [
    "ONE_DEVICE",
    "TASK",
    "Config",
    "GaussianMixtures",
    "build",
    "fill_in",
    "fit",
    "footprint",
    "graph",
    "log_likelihood",
]
