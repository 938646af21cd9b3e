"""Classification and density against scikit-learn and closed forms."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from components import tasks
from components.bundles.signature import Tolerance
from components.evaluation import image_inputs
from components.metrics import bootstrap
from components.metrics.confusion import confusion_table, macro_f1, per_class
from components.metrics.measurement import Metric
from components.tasks import classification, density
from data.prepared import DataSpec, Split

CLASSES = ("cat", "dog", "owl", "yak")


def _data(labels: np.ndarray, levels: int = 256) -> SimpleNamespace:
    spec = DataSpec(
        name="pets", task="classification", classes=CLASSES, height=3, width=2, channels=1, levels=levels,
        mean=(0.5,), std=(0.2,), sha256="0" * 64,
    )  # fmt: skip
    pictures = np.zeros((len(labels), 3, 2, 1), np.uint8)
    return SimpleNamespace(spec=spec, test=Split(pictures, labels, [f"e{k}" for k in range(len(labels))]))


@pytest.fixture
def answered():
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, 400)  # no yak
    logits = random.normal(size=(400, 4)) + 2 * np.eye(4)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return _data(labels), {"probabilities": probabilities.astype(np.float32)}


def test_classification_agrees_with_scikit_learn(answered):
    data, answers = answered
    labels, predicted = data.test.labels, answers["probabilities"].argmax(axis=1)
    measured = classification.measure(answers, data)
    value = {name: metric.value for name, metric in measured.metrics.items()}
    assert value["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(labels, predicted))
    assert value["macro_f1"] == pytest.approx(sklearn_metrics.f1_score(labels, predicted, average="macro"))
    expected = sklearn_metrics.top_k_accuracy_score(labels, answers["probabilities"], k=3, labels=range(4))
    assert value["top_3_accuracy"] == pytest.approx(expected)
    expected = sklearn_metrics.log_loss(labels, answers["probabilities"].astype(np.float64), labels=range(4))
    assert value["log_loss"] == pytest.approx(expected, rel=1e-5)
    for metric in measured.metrics.values():
        assert metric.low < metric.value < metric.high
    table = np.array([[row["precision"], row["recall"], row["f1"]] for row in measured.per_class[:3]])
    expected = sklearn_metrics.precision_recall_fscore_support(labels, predicted, labels=range(3))
    np.testing.assert_allclose(table.T, expected[:3])


def test_a_class_that_never_occurs_has_no_recall_and_costs_nothing():
    table = confusion_table(np.array([0, 0, 1]), np.array([0, 0, 1]), 4)
    assert macro_f1(table).value == 1
    owl = per_class(table, CLASSES)[2]
    assert owl == {"class": "owl", "examples": 0, "precision": None, "recall": None, "f1": None}


def test_macro_f1_has_the_interval_of_drawing_examples(answered):
    data, answers = answered
    labels, predicted = data.test.labels, answers["probabilities"].argmax(axis=1)
    interval = macro_f1(confusion_table(labels, predicted, 4))
    random = np.random.default_rng(1)
    draws = random.integers(400, size=(500, 400))
    f1 = [sklearn_metrics.f1_score(labels[d], predicted[d], average="macro") for d in draws]
    low, high = np.quantile(f1, [0.025, 0.975])
    assert abs(interval.low - low) < 0.15 * (high - low) and abs(interval.high - high) < 0.15 * (high - low)


def test_a_probability_of_zero_costs_a_finite_loss():
    data = _data(np.array([0, 1]))
    loss = classification.measure({"probabilities": np.eye(4, dtype=np.float32)[[1, 1]]}, data).metrics[
        "log_loss"
    ]
    assert loss.value == pytest.approx(-np.log(np.finfo(np.float32).eps) / 2)


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_a_uniform_model_needs_all_bits_of_a_level(levels):
    data = _data(np.array([0, 1, 2, 3]), levels)
    uniform = np.full(4, -6 * np.log(levels), np.float32)
    answers = {"log_likelihood": uniform, "probabilities": np.eye(4, dtype=np.float32)}
    measured = density.measure(answers, data)
    assert measured.primary == "bits_per_dim"
    assert measured.metrics["bits_per_dim"].value == pytest.approx(np.log2(levels))
    assert measured.metrics["bayes_accuracy"] == Metric.of(bootstrap.proportion(np.ones(4)), "higher")
    assert [row["bits_per_dim"] for row in measured.per_class] == pytest.approx([np.log2(levels)] * 4)


def test_label_gap_is_zero_where_the_class_is_the_likeliest():
    probabilities = np.array([[0.5, 0.5], [0.2, 0.8], [0.2, 0.8]])
    np.testing.assert_allclose(classification.label_gap(probabilities, np.array([1, 1, 0])), [0, 0, 0.6])


def test_an_answer_that_is_not_finite_names_its_example():
    data = _data(np.zeros(300, np.int64))

    def predict(inputs):
        answers = np.full((len(inputs["image"]), 4), 0.25, np.float32)
        if len(answers) < image_inputs.BATCH:
            answers[7, 2] = np.inf
        return {"probabilities": answers}

    with pytest.raises(ValueError, match="'probabilities' is not finite on test example 'e263'"):
        image_inputs.answer(predict, data)


def test_inputs_begin_again_after_the_last_image():
    data = _data(np.zeros(3, np.int64))
    data.test.images[:] = np.arange(3)[:, None, None, None]
    assert image_inputs.inputs(data, "test", 1, 5)["image"][:, 0, 0, 0].tolist() == [1, 2, 0, 1, 2]


def test_tolerance_compares_with_what_is_allowed_at_each_value():
    tolerance = Tolerance(1.0, relative=0.1)
    assert tolerance.compare(np.array([12.0, 0.5]), np.array([10.0, 0.0])) == (2.0, 1.0)
    difference, excess = tolerance.compare(np.array([np.nan]), np.array([0.0]))
    assert np.isnan(difference) and not excess <= 1


def test_unknown_task():
    with pytest.raises(ValueError, match="divination"):
        tasks.of("divination")
