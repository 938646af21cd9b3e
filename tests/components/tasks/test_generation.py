"""Generation on made-up answers: what is measured of what there is, and by whom."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from components.judging.judge import fingerprint
from components.project import layout
from components.tasks import conditional_generation, generation, of
from data.errors import UserError
from data.prepared import PreparedData
from tests.components import workspace

ALONE = {
    *("kernel_distance", "frechet_distance", "frechet_distance_test"),
    *("precision", "recall", "classes_covered", "memorised"),
}


@pytest.fixture
def data(bare_project) -> PreparedData:
    return PreparedData(layout.prepared(workspace.DATASET))


@pytest.fixture
def answers(data) -> dict[str, np.ndarray]:
    return {"image": np.resize(data.train.images, (1024, *data.spec.shape))}


def test_what_the_images_alone_tell(data, answers):
    measured = generation.measure(answers, data)
    assert measured.primary == "kernel_distance" and set(measured.metrics) == ALONE
    assert measured.metrics["classes_covered"].value == 3
    assert measured.metrics["memorised"].value == 1  # they are training images
    assert measured.judge == fingerprint(workspace.DATASET) == measured.to_json()["judge"]
    assert set(generation.rows(answers, data)) == set()


def test_a_likelihood_comes_first(data, answers):
    answers["log_likelihood"] = np.full(len(data.test), -16 * np.log(256))
    measured = generation.measure(answers, data)
    assert measured.primary == "bits_per_dim" and measured.metrics["bits_per_dim"].value == pytest.approx(8)
    assert set(generation.rows(answers, data)) == {"log_likelihood"}


def test_asked_classes_augmentation_and_filling(data, answers):
    labels = np.resize(data.train.labels, 1024)
    answers |= {
        "label": np.where(np.arange(1024) % 2, labels, (labels + 1) % 3),
        "augmentation": np.array([[True, False, False, True], [True, True, False, True]]),
        "filled_in": data.test.images[:20],
    }
    metrics = generation.measure(answers, data).metrics
    assert metrics["class_agreement"].value == pytest.approx(0.5, abs=0.05)
    assert metrics["augmented_accuracy"].value == 0.75 and metrics["augmentation_gain"].value == 0.25
    assert metrics["filling_error"].value == 0


def test_a_collapse_is_seen_by_everything_but_precision(data, answers):
    good = generation.measure(answers, data).metrics
    answers["image"] = np.repeat(data.train.images[:1], 1024, axis=0)
    metrics = generation.measure(answers, data).metrics
    assert metrics["classes_covered"].value == 1
    assert metrics["recall"].value < 0.1 < good["recall"].value
    assert metrics["frechet_distance"].low > good["frechet_distance"].high
    assert metrics["kernel_distance"].low > good["kernel_distance"].high


def test_a_class_is_asked_for_and_remembered(data):
    asked = []

    def predict(request):
        asked.append(request)
        return {"image": np.zeros((int(request["count"][0]), *data.spec.shape), np.uint8)}

    answers = conditional_generation.answer(predict, data)
    assert [int(request["label"][0]) for request in asked] == [-1] * len(asked)
    assert answers["label"].shape == (1024,) and answers["label"][:5].tolist() == [0, 1, 2, 0, 1]
    # Parity is asked for every class in turn, and for single ones.
    labels = {int(conditional_generation.inputs(data, "test", start, 2)["label"][0]) for start in range(8)}
    assert labels == {-1, 0, 1, 2}


def test_the_graph_s_inputs_choose_the_module():
    assert of("generation", ["seed", "count"]) is generation
    assert of("generation", ["seed", "count", "label"]) is conditional_generation
    assert of("classification", ["image"]).__name__ == "components.tasks.classification"


def test_no_judge_no_measure(data, answers):
    (layout.judge(workspace.DATASET) / "judge.json").unlink()
    with pytest.raises(UserError, match="Run the judge stage first"):
        generation.measure(answers, data)


def test_large_images_are_asked_for_in_parts_each_from_its_own_seed(data):
    small = data.spec
    assert generation.requests(small) == [(seed, 128) for seed in range(8)]
    large = replace(small, height=224, width=224, channels=3)
    found = generation.requests(large)
    assert sum(count for _, count in found) == 1024
    assert max(count for _, count in found) <= 13
    assert len({seed for seed, _ in found}) == len(found) == 80
