"""The support vector machine against scikit-learn: the same convex problems have the same optimum."""

from __future__ import annotations

import copy
import io
import math
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.svm import SVC, LinearSVC

import models
from benchmarks import memory_data
from data.prepared import PreparedData, Split
from models.run import Run
from models.svm import dual, kernel, rows
from models.svm import problem as problems
from models.svm.calibration import temperature
from models.svm.one_versus_one import Classifiers
from tests.models import tiny

GAMMA, COST = 0.1, 3.0


@pytest.fixture(scope="module")
def split(digits):
    """Return pixels uint8 and labels of the train split, and pixels of the test split."""
    flat = torch.from_numpy(digits.train.images).flatten(1), torch.from_numpy(digits.test.images).flatten(1)
    return flat[0], torch.from_numpy(digits.train.labels), flat[1]


def decisions(split, tolerance: float, **overrides) -> np.ndarray:
    """Solve one problem and return the decision values of the test split."""
    images, labels, held_out = split
    config = tiny.settings("svm", landmarks=len(images), tolerance=tolerance, **overrides)
    problem = problems.build(config, (images, labels), 10, GAMMA, torch.arange(len(images)))
    solver = problem.solver(COST, None)
    while solver.violation > tolerance and solver.step():
        pass
    spec = SimpleNamespace(shape=(8, 8, 1), num_classes=10)
    machine = models.family("svm").build(config, spec)
    problem.put(machine, solver)
    return machine(held_out).numpy()


def one_against_the_rest(make, x, labels, held_out) -> np.ndarray:
    """Return the decision values of one binary machine of scikit-learn's for each class."""
    machines = [make().fit(x, labels == label) for label in range(10)]
    return np.stack([machine.decision_function(held_out) for machine in machines], axis=1)


@pytest.mark.parametrize("working", [512, 16])
@pytest.mark.parametrize("name", ["rbf", "linear"])
@pytest.mark.parametrize("tolerance", [1e-6, 1e-4])  # in float64 and in float32
def test_hinge_is_the_machine_of_scikit_learn(split, name, tolerance, working, monkeypatch):
    """``working`` 512 holds every classifier whole, 16 a third of it."""
    monkeypatch.setattr(dual, "WORKING", working)
    images, labels, held_out = split
    machine = SVC(kernel=name, C=COST, gamma=GAMMA, tol=1e-6, decision_function_shape="ovo")
    theirs = machine.fit(images / 255, labels).decision_function(held_out / 255)
    ours = decisions(split, tolerance, kernel=name, loss="hinge")
    first, second = np.triu_indices(10, 1)
    np.testing.assert_allclose(ours[:, first, second], theirs, atol=1e-3)
    np.testing.assert_array_equal(ours, -ours.transpose(0, 2, 1))


def test_rows_that_were_forgotten_change_nothing(split, monkeypatch):
    monkeypatch.setattr(dual, "WORKING", 8)
    whole = decisions(split, 1e-4, loss="hinge")
    monkeypatch.setattr(rows, "ROOM", 100_000)  # about a thousand rows
    np.testing.assert_array_equal(decisions(split, 1e-4, loss="hinge"), whole)


def test_squared_hinge_is_the_machine_of_scikit_learn(split):
    """The dual of the squared hinge is the hinge's without an upper bound, and 1 / 2C more on the diagonal."""
    images, labels, held_out = split
    x = images.double().numpy() / 255
    gram = rbf_kernel(x, gamma=GAMMA) + np.eye(len(x)) / (2 * COST)
    theirs = one_against_the_rest(
        lambda: SVC(kernel="precomputed", C=1e9, tol=1e-6), gram, labels, rbf_kernel(held_out / 255, x, GAMMA)
    )
    np.testing.assert_allclose(decisions(split, 1e-12), theirs, atol=1e-3)


def test_linear_squared_hinge_is_the_machine_of_scikit_learn(split):
    images, labels, held_out = split
    # Its bias is penalised like a weight, unless its pixel is very bright.
    theirs = one_against_the_rest(
        lambda: LinearSVC(C=COST, tol=1e-9, max_iter=100_000, dual=False, intercept_scaling=300.0),
        images / 255,
        labels,
        held_out / 255,
    )
    np.testing.assert_allclose(decisions(split, 1e-12, kernel="linear"), theirs, atol=1e-3)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10_000), cost=st.floats(0.01, 100), working=st.sampled_from([10, 512]))
def test_hinge_ends_at_the_optimality_conditions(seed, cost, working):
    random = np.random.default_rng(seed)
    images = torch.from_numpy(random.integers(0, 256, size=(40, 3))).double()
    labels = torch.from_numpy(random.permutation(np.repeat(np.arange(3), [5, 15, 20])))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dual, "WORKING", working)
        classifiers = Classifiers(labels, 3)
        solver = dual.Solver(rows.Rows(images, classifiers, 1.0, 2 * working), cost, 1e-6)
        while solver.violation > 1e-6:
            assert solver.step()
    gram = rbf_kernel(images.numpy() / 255, gamma=1.0)
    alpha = classifiers.by_image(solver.beta, 40).abs().numpy()
    for (first, second), bias in zip(classifiers.classes.tolist(), solver.bias().tolist(), strict=True):
        part = np.isin(labels, [first, second])
        signs = np.where(labels[part] == first, 1.0, -1.0)
        multipliers = np.where(signs > 0, alpha[part, second], alpha[part, first])
        margins = signs * (gram[np.ix_(part, part)] @ (signs * multipliers) + bias)
        assert (multipliers >= 0).all()
        assert (multipliers <= cost).all()
        np.testing.assert_allclose(signs @ multipliers, 0, atol=1e-9 * cost)
        assert (margins[multipliers == 0] >= 1 - 1e-5).all()
        assert (margins[multipliers == cost] <= 1 + 1e-5).all()


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_float32_rows_have_the_same_bits_whichever_are_computed_together(seed):
    random = np.random.default_rng(seed)
    x = torch.from_numpy(random.integers(-255, 256, size=(60, 784))).float()
    classifiers = Classifiers(torch.arange(60) % 2, 2)
    together, apart = (rows.Rows(x, classifiers, 0.01, 4) for _ in range(2))
    assert len(together.columns) > 1
    places = torch.arange(60)[None]
    slots = together.slots(torch.tensor([0]), places)
    for place in random.permutation(60)[:9]:
        single = apart.slots(torch.tensor([0]), places[:, place : place + 1])
        assert torch.equal(apart.pool[single[0, 0]], together.pool[slots[0, place]])


def test_the_class_that_falls_short_least_wins(split):
    """On all but near ties the class is the one that wins most classifiers, which is what LIBSVM takes."""
    images, labels, held_out = split
    machine = SVC(C=COST, gamma=GAMMA).fit(images / 255, labels)
    ours = torch.from_numpy(decisions(split, 1e-4, loss="hinge")).clamp(max=0).sum(dim=2).argmax(dim=1)
    assert (ours.numpy() == machine.predict(held_out / 255)).mean() > 0.97


def test_newton_never_raises_the_objective(split):
    images, labels, _ = split
    problem = problems.build(tiny.settings("svm"), (images, labels), 10, GAMMA, torch.arange(50))
    solver = problem.solver(COST, None)
    values = [solver.objective]
    while solver.violation > 1e-9 and solver.step():
        values.append(solver.objective)
        assert (values[-1] <= values[-2] * (1 + 1e-12)).all()
    assert len(values) > 3


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), bright=st.integers(0, 235))
def test_float32_distances_of_bright_and_near_images_are_exact(seed, bright):
    random = np.random.default_rng(seed)
    images = torch.from_numpy(random.integers(bright, bright + 20, size=(8, 784), dtype=np.uint8))
    middle = kernel.centre(images)
    exact = torch.cdist(images.double(), images.double()).square().round()
    centred = (images.double() - middle).float()
    assert torch.equal(kernel.squared_distances(centred, centred).double(), exact)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), factor=st.floats(0.1, 10))
def test_temperature_has_the_least_loss_and_undoes_a_factor(seed, factor):
    random = np.random.default_rng(seed)
    labels = torch.from_numpy(random.integers(0, 4, 300))
    logits = torch.from_numpy(random.normal(size=(300, 4))) + 1.5 * torch.nn.functional.one_hot(labels, 4)
    warmth = temperature(logits, labels)
    assert temperature(factor * logits, labels) == pytest.approx(factor * warmth, rel=1e-4)

    def loss(value: float) -> float:
        return float(torch.nn.functional.cross_entropy(logits / value, labels))

    assert loss(warmth) <= min(loss(warmth * 1.01), loss(warmth / 1.01))


def test_classes_without_images_are_never_predicted(digits):
    there = digits.train.labels < 8
    train = Split(digits.train.images[there], digits.train.labels[there], [])
    data = SimpleNamespace(train=train, validation=digits.validation, spec=digits.spec)
    model, _ = tiny.fitted("svm", data, overrides={"loss": "hinge"})
    answers = models.family("svm").graph(model)(torch.from_numpy(digits.test.images))
    assert answers.isfinite().all()
    assert answers.argmax(dim=1).max() < 8
    known = digits.test.labels < 8
    assert (answers.argmax(dim=1).numpy() == digits.test.labels)[known].mean() > 0.8


LINEAR = {"loss": "hinge", "kernel": "linear"}


@pytest.mark.parametrize(
    "overrides", [{}, {"loss": "hinge"}, LINEAR, {"kernel": "linear"}, {"landmarks": 100}]
)
def test_graph_keeps_the_margins_of_the_float64_machine(digits, tmp_path, overrides):
    module = models.family("svm")
    with Run("svm") as run:
        model = module.build(tiny.settings("svm", **overrides), digits.spec)
        module.fit(model, digits, run)
    images = torch.from_numpy(digits.test.images)
    file = io.BytesIO()
    machine = module.graph(model).machine
    torch.onnx.export(
        machine,
        (images[:2],),
        file,
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {session.get_inputs()[0].name: digits.test.images})
    ours = model(images).numpy()
    assert ours.dtype == np.float64
    np.testing.assert_allclose(theirs, ours, atol=2e-5)
    margin = np.sort(ours, axis=1)[:, -1] - np.sort(ours, axis=1)[:, -2]
    sure = margin > 4e-5
    assert sure.mean() > 0.95
    assert (theirs.argmax(axis=1) == ours.argmax(axis=1))[sure].all()


def test_large_coefficients_that_cancel_keep_the_probabilities_exact(digits):
    """As of thousands of landmarks: all in float32 this is off by more than the export allows."""
    module = models.family("svm")
    model = module.build(tiny.settings("svm"), digits.spec)
    landmarks = torch.from_numpy(digits.train.images).flatten(1)
    random = torch.Generator().manual_seed(0)
    coefficients = 3000 * torch.randn(len(landmarks), 10, generator=random, dtype=torch.float64)
    coefficients -= coefficients.mean(dim=0)
    centre, bias = landmarks.double().mean(dim=0).round(), torch.zeros(10, dtype=torch.float64)
    model.put(centre, coefficients, bias, landmarks, gamma=1e-4)
    model.temperature.fill_(10.0)
    images = torch.from_numpy(digits.test.images)
    exact = (model(images) / model.temperature).softmax(dim=1)
    torch.testing.assert_close(module.graph(model)(images).double(), exact, rtol=0, atol=1e-6)
    rough = copy.deepcopy(model).float()
    off = (rough(images) / rough.temperature).softmax(dim=1) - exact
    assert off.abs().max() > 1e-4


@pytest.mark.parametrize("overrides", [{"loss": "hinge"}, {"kernel": "linear"}])
def test_resumed_at_any_step_gives_the_same_bits(digits, tmp_path, overrides, monkeypatch):
    monkeypatch.setattr(dual, "WORKING", 16)  # several steps for each classifier
    whole, points = _fit(digits, tmp_path / "none", overrides, stop=None)
    for stop in range(1, points, max(1, points // 4)):
        with pytest.raises(KeyboardInterrupt):
            _fit(digits, tmp_path / f"{stop}", overrides, stop)
        again, _ = _fit(digits, tmp_path / f"{stop}", overrides, stop=None)
        for name, value in whole.items():
            assert torch.equal(again[name], value), name


def _fit(digits, point, overrides, stop):
    """Fit, writing a resume point at every step, interrupted after ``stop`` of them; return weights and how many."""
    module = models.family("svm")
    saved = 0

    with Run("svm", resume_file=point, save_seconds=0.0, save_share=math.inf) as run:
        write = run.save

        def save(state):
            nonlocal saved
            write(state)
            saved += 1
            if saved == stop:
                raise KeyboardInterrupt

        run.save = save
        model = module.build(tiny.settings("svm", **overrides), digits.spec)
        module.fit(model, digits, run)
    return model.state_dict(), saved


@pytest.mark.slow
def test_reaches_its_floor(tmp_path):
    ordered = tiny.prepare(tmp_path, (1797, 0, 0))
    order = np.random.default_rng(0).permutation(1797)
    images, labels = ordered.train.images[order], ordered.train.labels[order]
    splits = zip(np.split(images, [1257, 1527]), np.split(labels, [1257, 1527]), strict=True)
    train, validation, test = (Split(*split, []) for split in splits)
    data = SimpleNamespace(train=train, validation=validation, test=test, spec=ordered.spec)
    module = models.family("svm")
    with Run("svm") as run:
        model = module.build(module.Config.quick(), data.spec)
        module.fit(model, data, run)
    probabilities = module.graph(model)(torch.from_numpy(test.images))
    assert (probabilities.argmax(dim=1).numpy() == test.labels).mean() >= 0.985


def test_an_exported_graph_keeps_the_digits_of_large_pictures(tmp_path):
    """Of 128 x 128 x 3 numbers a distance is a sum far above 2^24, which float32 rounds."""
    memory_data.write(tmp_path / "prepared", "pictures", "classification", 128)
    data = PreparedData(tmp_path / "prepared")
    svm = models.family("svm")
    with Run("large") as run:
        model = svm.build(svm.Config.quick(), data.spec)
        svm.fit(model, data, run)
    images = torch.as_tensor(np.array(data.test.images))
    expected = (model.scores(images) / model.temperature).softmax(dim=1)
    torch.testing.assert_close(svm.graph(model)(image=images).double(), expected, atol=1e-6, rtol=0)
