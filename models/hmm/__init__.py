"""A hidden Markov model per class over the rows of an image, fitted by Baum-Welch; the class follows by Bayes' rule.

A row of pixels, or a strip of several, is one observation, drawn from the Gaussian (diagonal covariance) of the hidden
state that the chain is in; the chain goes from the top to the bottom. Baum-Welch: Baum et al. 1970; forward, backward
and scaling: Rabiner 1989; most likely states: Viterbi 1967; likelihood of discrete pixels: Theis et al. 2016, "A note
on the evaluation of generative models", section 3.1.

Shapes: image uint8 [N, H, W, C] -> T strips of R rows, [T, N, R * W * C] in [0, 1] -> log-densities [T, N, S] of each
class -> log p(x, class) [N, K] -> log p(x) [N] and the posterior [N, K].
"""

from models.hmm.config import Config
from models.hmm.density import HiddenMarkovModels, build, graph, log_likelihood
from models.hmm.fill_in import fill_in
from models.hmm.fit import fit
from models.hmm.footprint import footprint
from models.hmm.viterbi import decode

TASK = "density"
ONE_DEVICE = True

__all__ = [
    "ONE_DEVICE",
    "TASK",
    "Config",
    "HiddenMarkovModels",
    "build",
    "decode",
    "fill_in",
    "fit",
    "footprint",
    "graph",
    "log_likelihood",
]
