"""Support vector machine, linear or with the Gaussian kernel (Cortes & Vapnik 1995).

The **hinge** loss is solved exactly in the dual, by one-versus-one classifiers, as scikit-learn's ``SVC`` does
(:mod:`models.svm.dual`); all of them advance side by side, so that their kernel rows are a few large products of
matrices. The **squared hinge** is solved in the primal, every class against the rest, as ``LinearSVC`` does
(:mod:`models.svm.primal`); for the Gaussian kernel on a sample of the training images, the landmarks (Nyström;
Williams & Seeger 2001), which is exact when they are all of them. Width and cost are chosen on the validation split,
which also sets the temperature of the probabilities (Guo et al. 2017).

Shapes: image uint8 [N, H, W, C] -> kernel [N, M] with the landmarks or support vectors -> decision values [N, K], or
[N, K, K] of one versus one -> scores [N, K] -> probabilities [N, K].
"""

from models.svm.config import Config
from models.svm.fit import fit
from models.svm.footprint import footprint
from models.svm.network import SupportVectorMachine, build, graph

TASK = "classification"
ONE_DEVICE = True

__all__ = ["ONE_DEVICE", "TASK", "Config", "SupportVectorMachine", "build", "fit", "footprint", "graph"]
