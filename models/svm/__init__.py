"""Support vector machine, linear or with the Gaussian kernel (Cortes & Vapnik 1995), one problem for each class.

One class against the rest (Rifkin & Klautau 2004): all K problems share one kernel matrix, so that one product of
matrices serves them all. The **hinge** loss is solved exactly in the dual (:mod:`models.svm.dual`), as scikit-learn's
``SVC`` does; the **squared hinge** in the primal (:mod:`models.svm.primal`), as its ``LinearSVC`` does, for the
Gaussian kernel on a sample of the training images, the landmarks (Nyström; Williams & Seeger 2001), which is exact
when they are all of them. Width and cost are chosen on the validation split, which also sets the temperature of the
probabilities (Guo et al. 2017).

Shapes: image uint8 [N, H, W, C] -> kernel [N, M] with the landmarks -> decision values [N, K] -> probabilities [N, K].
"""

from models.svm.config import Config
from models.svm.fit import fit
from models.svm.network import SupportVectorMachine, build, graph

TASK = "classification"

__all__ = ["TASK", "Config", "SupportVectorMachine", "build", "fit", "graph"]
