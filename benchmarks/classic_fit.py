"""Gaussian mixture, logistic regression and SVM against scikit-learn, hidden Markov model against hmmlearn.

``python -m benchmarks.classic_fit [--fits NAME ...] [--threads N] [--repeats N] [--json FILE]``, after
``darkroom run fashion-logreg`` has prepared the data: all 60,000 Fashion-MNIST training images. Both sides do the same
work in the same process: EM from the same start for as many iterations, and L-BFGS down to the same objective; each
with the same number of threads. The best of the repeats counts, and the sides take turns. The support vector machines
are fitted to the first ``--svm-images`` of the images, once each: the same problems down to the same tolerance.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from hmmlearn.hmm import GaussianHMM
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from benchmarks.command import keep
from components.project import layout
from data.prepared import PreparedData
from models import svm
from models.blocks import kmeans
from models.gmm import em
from models.hmm import baum_welch
from models.hmm import start as chains
from models.logreg.solver import Solver
from models.svm import problem as problems

COMPONENTS = 10
STATES = 16
RIDGE = 1e-3
PENALTY = 10.0
WIDTH, COST = 2.0, 10.0


def main() -> None:
    """Measure, print a table, and write it as JSON where asked."""
    options = _options()
    torch.set_num_threads(options.threads)
    data = PreparedData(layout.prepared("fashion_mnist"))
    pixels, labels = _examples(data.train, data.validation)
    test = _examples(data.test)
    with threadpool_limits(options.threads):
        fits = {
            "gmm": lambda: [_gmm(pixels.double(), options.iterations, options.repeats)],
            "logreg": lambda: [_logreg(pixels, labels, test, options.repeats)],
            "hmm": lambda: [
                _hmm(pixels.double(), options.iterations, options.repeats, implementation)
                for implementation in ("log", "scaling")
            ],
            "svm": lambda: [_svm(pixels, labels, data, options.svm_images)],
        }
        rows = [row for name in options.fits for row in fits[name]()]
    for row in rows:
        print(f"{row['what']}: {row['quality']} ours {row['ours']}, theirs {row['theirs']};", end=" ")
        print(
            f"{row['our_seconds']:.1f} s against {row['their_seconds']:.1f} s, {row['times_as_fast']:.2f} times as fast"
        )
    keep({"threads": options.threads, "rows": rows}, options.json)


def _gmm(x: torch.Tensor, iterations: int, repeats: int) -> dict:
    """Fit one mixture of full Gaussians to all images: mean log-likelihood after as many EM iterations."""
    mean = x.mean(dim=0)
    x = x - mean
    prior = em.Prior(torch.zeros(x.shape[1], x.shape[1], dtype=x.dtype), 0.0)
    first = em.m_step(x, kmeans.assign(x, COMPONENTS, torch.Generator().manual_seed(0)), prior, RIDGE)

    def ours() -> float:
        mixture = first
        for _ in range(iterations):
            _, responsibilities = em.e_step(x, mixture)
            mixture = em.m_step(x, responsibilities, prior, RIDGE)
        return float(em.e_step(x, mixture)[0].mean())  # fit of scikit-learn ends with an E step, too

    def theirs() -> GaussianMixture:
        model = GaussianMixture(
            COMPONENTS,
            tol=0.0,
            reg_covar=RIDGE,
            max_iter=iterations,
            weights_init=first.log_weights.exp().numpy(),
            means_init=first.means.numpy(),
            precisions_init=(first.scales @ first.scales.mT).numpy(),
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(x.numpy())

    what = f"Gaussian mixture, {COMPONENTS} full components, {iterations} EM iterations"
    return _compare(what, "mean log-likelihood", ours, theirs, repeats, lambda model: model.score(x.numpy()))


def _logreg(x: torch.Tensor, y: torch.Tensor, test: tuple[torch.Tensor, torch.Tensor], repeats: int) -> dict:
    """Fit the multinomial logistic regression to the same objective, the one that scikit-learn's defaults reach."""
    reached: list[float] = []

    def objective(weight: torch.Tensor, bias: torch.Tensor) -> float:
        loss = torch.nn.functional.cross_entropy(torch.addmm(bias, x, weight.T), y, reduction="sum")
        return float(loss + 0.5 * PENALTY * weight.square().sum()) / len(x)

    def accuracy(weight: torch.Tensor, bias: torch.Tensor) -> float:
        return float((torch.addmm(bias, test[0], weight.T).argmax(dim=1) == test[1]).double().mean())

    def theirs() -> LogisticRegression:
        return LogisticRegression(C=1 / PENALTY, max_iter=2000).fit(x.numpy(), y.numpy())

    def measure(model: LogisticRegression) -> float:
        solution = torch.from_numpy(model.coef_).float(), torch.from_numpy(model.intercept_).float()
        reached.append(objective(*solution))
        return accuracy(*solution)

    def ours() -> float:
        solver = Solver(x, y, int(y.max()) + 1, PENALTY)
        while solver.step()[0] > reached[0]:
            pass
        return accuracy(*solver.solution())

    row = _compare(f"Logistic regression, L2 {PENALTY:g}", "test accuracy", ours, theirs, repeats, measure)
    return row | {"objective": reached[0]}


def _hmm(x: torch.Tensor, iterations: int, repeats: int, implementation: str) -> dict:
    """Fit one ergodic chain to the rows of all images: mean log-likelihood after as many Baum-Welch iterations."""
    rows = x.unflatten(1, (28, 28)).transpose(0, 1).contiguous()
    sequences, lengths = x.reshape(-1, 28).numpy(), [28] * len(x)
    prior = baum_welch.Prior(torch.full((28,), RIDGE, dtype=x.dtype), 1.0, 1e-3)
    counted = chains.counts(rows[:, :1000], STATES, "ergodic", 1.0, torch.Generator().manual_seed(0))
    first = baum_welch.m_step(counted, chains.blank(STATES, "ergodic", rows[0]), prior)

    def ours() -> baum_welch.Chain:
        chain = first
        for _ in range(iterations):
            _, counts = baum_welch.e_step(rows.split(128, dim=1), chain, "ergodic")
            chain = baum_welch.m_step(counts, chain, prior)
        return chain

    def theirs() -> GaussianHMM:
        model = GaussianHMM(
            STATES,
            startprob_prior=1 + prior.smoothing,
            transmat_prior=1 + prior.smoothing,
            covars_prior=prior.strength * prior.variances.numpy(),
            covars_weight=1 + prior.strength,
            n_iter=iterations,
            tol=-np.inf,
            init_params="",
            implementation=implementation,
        )
        model.n_features = 28
        model.startprob_, model.transmat_ = first.start.numpy(), first.transitions.numpy()
        model.means_, model.covars_ = first.means.numpy(), first.variances.numpy()
        return model.fit(sequences, lengths)

    def of_ours(chain: baum_welch.Chain) -> float:
        return float(baum_welch.e_step(rows.split(128, dim=1), chain, "ergodic")[0].mean())

    def of_theirs(model: GaussianHMM) -> float:
        fitted = (model.startprob_, model.transmat_, model.means_, model._covars_)
        return of_ours(baum_welch.Chain(*map(torch.from_numpy, fitted)))

    what = f"Hidden Markov model, {STATES} states, {iterations} iterations, hmmlearn's {implementation!r}"
    return _compare(what, "mean log-likelihood", ours, theirs, repeats, of_theirs, of_ours)


def _svm(x: torch.Tensor, y: torch.Tensor, data: PreparedData, count: int) -> dict:
    """Fit the RBF machine with the hinge loss, every class against every other, to the first ``count`` images."""
    config = svm.Config(loss="hinge", tolerance=1e-3)
    gamma = WIDTH / (x.shape[1] * float(x.double().var()))
    x, y = x[:count], y[:count]
    seconds = {}

    def ours() -> svm.SupportVectorMachine:
        examples = (x * 255).round().byte(), y
        problem = problems.build(config, examples, data.spec.num_classes, gamma, torch.arange(0))
        solver = problem.solver(COST, None)
        while solver.violation > config.tolerance and solver.step():
            pass
        machine = svm.build(config, data.spec)
        problem.put(machine, solver)
        return machine

    def theirs() -> SVC:
        return SVC(C=COST, gamma=gamma, tol=config.tolerance, cache_size=1000).fit(x.numpy(), y.numpy())

    def accuracy(answer: Callable[[], np.ndarray], side: str) -> float:
        started = time.perf_counter()
        right = answer() == data.test.labels
        seconds[side] = time.perf_counter() - started
        return float(right.mean())

    def measure_ours(machine: svm.SupportVectorMachine) -> float:
        graph = svm.graph(machine)
        rows = torch.from_numpy(np.array(data.test.images)).split(500)
        return accuracy(lambda: torch.cat([graph(part) for part in rows]).argmax(dim=1).numpy(), "ours")

    def measure(machine: SVC) -> float:
        return accuracy(lambda: machine.predict(_examples(data.test)[0].numpy()), "theirs")

    what = f"RBF machine, {count} images"
    row = _compare(what, "test accuracy", ours, theirs, 1, measure, measure_ours)
    print(f"{len(data.test)} answers: ours {seconds['ours']:.1f} s, theirs {seconds['theirs']:.1f} s")
    return row | {"our_seconds_to_answer": seconds["ours"], "their_seconds_to_answer": seconds["theirs"]}


def _compare(
    what: str,
    quality: str,
    ours: Callable,
    theirs: Callable,
    repeats: int,
    measure: Callable,
    measure_ours: Callable = float,
) -> dict:
    """Run both in turns and keep each one's best time; ``measure`` tells the quality of what ``theirs`` fitted."""
    seconds, values = {ours: [], theirs: []}, {}
    for _ in range(repeats):
        for side, judge in ((theirs, measure), (ours, measure_ours)):
            started = time.perf_counter()
            result = side()
            seconds[side].append(time.perf_counter() - started)
            values[side] = judge(result)
    best = {side: min(times) for side, times in seconds.items()}
    return {
        "what": what,
        "quality": quality,
        "ours": round(values[ours], 4),
        "theirs": round(values[theirs], 4),
        "our_seconds": best[ours],
        "their_seconds": best[theirs],
        "times_as_fast": best[theirs] / best[ours],
    }


def _examples(*splits) -> tuple[torch.Tensor, torch.Tensor]:
    """Return pixels float32 [N, D] in [0, 1] and labels int64 [N] of all ``splits``."""
    images = np.concatenate([split.images for split in splits]).astype(np.float32) / 255
    labels = np.concatenate([split.labels for split in splits])
    return torch.from_numpy(images.reshape(len(images), -1)), torch.from_numpy(labels)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ["gmm", "logreg", "hmm", "svm"]
    parser.add_argument("--fits", nargs="+", choices=names, default=names)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--svm-images", type=int, default=20_000, help="SVC takes 5 minutes for 60,000")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
