"""Controlled generation on made-up answers: what is asked for, and what is measured of images, maps and the base."""

from __future__ import annotations

import numpy as np
import pytest

from components.evaluation import prompts
from components.judging import judge
from components.metrics.edge_agreement import f1
from components.tasks import controlled_generation, of, text_to_image
from data.prepared import PreparedData
from tests.components.tasks.test_text_to_image import Told
from tests.models import tiny


@pytest.fixture
def data(tmp_path, monkeypatch) -> PreparedData:
    monkeypatch.setattr(judge.Judge, "of", classmethod(lambda cls, spec: Told()))
    return tiny.prepare_captions(tmp_path / "prepared", sketched=True)


def answers(data: PreparedData, wrong: int = 0, **before: np.ndarray) -> dict[str, np.ndarray]:
    """Return pictures of the digits that the maps are of, the first ``wrong`` of them without a line.

    The judge sees in each the class of its caption, but in those.
    """
    drawn = data.test.images[controlled_generation.asked(data)].copy()
    labels = data.test.labels[controlled_generation.asked(data)].copy()
    drawn[:wrong] = 0
    labels[:wrong] = (labels[:wrong] + 1) % 10
    drawn[:, 0, 0, 0] = drawn[:, 0, 0, 0] // 20 * 10 + labels  # 0 to 129: read by the last digit
    return {"drawn": drawn} | before


def test_images_are_scored_by_their_edges(data):
    given = answers(data, wrong=8)
    scores = controlled_generation.scores(given, data)
    np.testing.assert_array_equal(scores, f1(given["drawn"], data.test.inputs))
    assert (scores[:8] < 0.2).all() and scores[8:].mean() > 0.6
    measured = controlled_generation.measure(given, data)
    assert measured.primary == "edge_f1"
    assert measured.metrics["edge_f1"].value == pytest.approx(scores.mean())
    assert measured.metrics["class_agreement"].value == 0.9
    assert not {"edge_f1_before", "edge_f1_ratio"} & measured.metrics.keys()
    for row, label in zip(measured.per_class, range(10), strict=True):
        of_class = data.test.labels == label
        assert row["examples"] == of_class.sum()
        assert row["edge_f1"] == pytest.approx(scores[of_class].mean())
    rows = controlled_generation.rows(given, data)
    np.testing.assert_array_equal(rows["edge_f1"], scores)
    assert rows["correct"].sum() == 72 and rows["id"].tolist() == data.test.ids


def test_the_ratio_is_to_what_was_drawn_without_the_maps(data):
    before = data.test.images[np.roll(np.arange(80), 1)]
    metrics = controlled_generation.measure(answers(data, before=before), data).metrics
    assert metrics["edge_f1_before"].value == pytest.approx(f1(before, data.test.inputs).mean())
    ratio = metrics["edge_f1_ratio"]
    assert ratio.value == pytest.approx(metrics["edge_f1"].value / metrics["edge_f1_before"].value)
    assert 1 < ratio.low < ratio.value < ratio.high
    same = answers(data)
    of_itself = controlled_generation.measure(same | {"before": same["drawn"]}, data).metrics["edge_f1_ratio"]
    assert (of_itself.low, of_itself.value, of_itself.high) == pytest.approx((1, 1, 1))


def test_each_caption_is_asked_for_once_with_its_map_and_the_seeds_of_text_to_image(data, monkeypatch):
    asked = []

    def predict(request):
        asked.append(request)
        return {"drawn": np.zeros((len(request["prompt"]), *data.spec.shape), np.uint8)}

    assert controlled_generation.answer(predict, data)["drawn"].shape == (80, *data.spec.shape)
    texts = [text for request in asked for text in request["prompt"]]
    assert texts == prompts.spelled(data.test.captions, data.spec).tolist()
    np.testing.assert_array_equal(np.concatenate([request["image"] for request in asked]), data.test.inputs)

    plain = []

    def without(request):
        plain.append(request)
        return {"image": np.zeros((len(request["prompt"]), *data.spec.shape), np.uint8)}

    text_to_image.asked_for(without, data)
    assert [(len(r["prompt"]), r["seed"].tolist()) for r in asked] == [(64, [0]), (16, [1])]
    assert [(r["prompt"].tolist(), r["seed"].tolist()) for r in asked] == [
        (r["prompt"].tolist(), r["seed"].tolist()) for r in plain
    ]

    monkeypatch.setattr(text_to_image, "CAPTIONS", 20)
    few, places = answers(data), controlled_generation.asked(data)
    assert len(places) == 20
    np.testing.assert_array_equal(
        controlled_generation.scores(few, data), f1(few["drawn"], data.test.inputs[places])
    )
    asked.clear()
    controlled_generation.answer(predict, data)
    np.testing.assert_array_equal(asked[0]["image"], data.test.inputs[places])


def test_inputs_are_maps_with_the_tokens_of_their_captions(data):
    wanted, outputs = controlled_generation.signature(data.spec)
    assert [(tensor.name, tensor.dtype, tensor.shape) for tensor in wanted + outputs] == [
        ("image", "uint8", (-1, 8, 8, 1)),
        ("prompt", "string", (-1,)),
        ("seed", "int64", (1,)),
        ("drawn", "uint8", (-1, 8, 8, 3)),
    ]
    inputs = controlled_generation.inputs(data, "test", 78, 5)
    assert list(inputs) == [tensor.name for tensor in wanted]
    places = [78, 79, 0, 1, 2]  # from the start again
    np.testing.assert_array_equal(inputs["image"], data.test.inputs[places])
    tokens = prompts.tokens(inputs, data.spec)
    np.testing.assert_array_equal(tokens["prompt"], data.test.captions[places])
    np.testing.assert_array_equal(tokens["image"], inputs["image"])
    assert of("controlled_generation") is controlled_generation


def test_pictures_are_drawn_with_and_without_what_was_before(data, tmp_path):
    for name, given in {"alone": answers(data), "both": answers(data, before=data.test.images[::-1])}.items():
        folder = tmp_path / name
        folder.mkdir()
        controlled_generation.draw(folder, given, data, controlled_generation.measure(given, data))
        assert {file.name for file in folder.iterdir()} == {"controlled.png", "worst_controlled.png"}
