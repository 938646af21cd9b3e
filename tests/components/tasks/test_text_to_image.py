"""Text to image on made-up answers: which captions are asked for, and what is measured of the images."""

from __future__ import annotations

import numpy as np
import pytest

from components.evaluation import prompts
from components.judging import judge
from components.tasks import of, text_to_image
from data.captions import PADDING, UNKNOWN
from data.prepared import PreparedData
from tests.models import tiny


class Told:
    """A judge that sees in an image the class that its first pixel says."""

    sha256 = "5" * 64

    def embed(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen = images[:, 0, 0, 0].astype(int) % 10
        features = np.random.default_rng(0).normal(size=(len(images), 64)).astype(np.float32)
        return features, np.eye(10)[seen] * 0.9 + 0.01

    def references(self) -> dict[str, np.ndarray]:
        random = np.random.default_rng(1)
        return {name: random.normal(size=(80, 64)).astype(np.float32) for name in ("train", "test")}


@pytest.fixture
def data(tmp_path, monkeypatch) -> PreparedData:
    monkeypatch.setattr(judge.Judge, "of", classmethod(lambda cls, spec: Told()))
    return tiny.prepare_captions(tmp_path / "prepared")


def answers(data: PreparedData, wrong: int = 0) -> dict[str, np.ndarray]:
    """Return images of the classes of the captions that are asked for, the first ``wrong`` of another class."""
    labels = data.test.labels[text_to_image.asked(data)].copy()
    labels[:wrong] = (labels[:wrong] + 1) % 10
    return {
        "image": np.broadcast_to(labels[:, None, None, None], (len(labels), *data.spec.shape)).astype(
            np.uint8
        )
    }


def test_images_are_scored_by_the_class_of_their_caption(data):
    given = answers(data, wrong=8)
    assert text_to_image.scores(given, data).tolist() == [0] * 8 + [1] * 72
    measured = text_to_image.measure(given, data)
    assert measured.primary == "class_agreement" and measured.metrics["class_agreement"].value == 0.9
    assert sum(row["examples"] for row in measured.per_class) == 80
    rows = text_to_image.rows(given, data)
    assert rows["correct"].sum() == 72 and rows["id"].tolist() == data.test.ids


def test_each_caption_is_asked_for_once_and_no_more_than_so_many(data, monkeypatch):
    asked = []

    def predict(request):
        asked.append((request["prompt"].tolist(), int(request["seed"][0])))
        return {"image": np.zeros((len(request["prompt"]), *data.spec.shape), np.uint8)}

    told = text_to_image.answer(predict, data)
    assert told["image"].shape == (80, *data.spec.shape) and told["by_seed"].shape[:2] == (4, 8)
    texts = [text for batch, _ in asked[:2] for text in batch]
    assert texts == prompts.spelled(data.test.captions, data.spec).tolist()
    assert [(len(batch), seed) for batch, seed in asked[:2]] == [(64, 0), (16, 1)]

    monkeypatch.setattr(text_to_image, "CAPTIONS", 20)
    assert len(text_to_image.asked(data)) == 20
    few = answers(data)
    assert text_to_image.measure(few, data).metrics["class_agreement"].value == 1
    assert len(text_to_image.scores(few, data)) == len(text_to_image.rows(few, data)["id"]) == 20


def test_prompts_become_the_tokens_of_their_captions(data):
    inputs = text_to_image.inputs(data, "test", 3, 5)
    tokens = prompts.tokens(inputs, data.spec)
    np.testing.assert_array_equal(tokens["prompt"], data.test.captions[3:8])
    assert tokens["seed"].tolist() == [3]
    odd = {"prompt": np.array(["", "  nowhere  on ", "on " * 9], dtype=object)}
    rows = prompts.tokens(odd, data.spec)["prompt"]
    assert (rows[0] == PADDING).all() and rows[1, 0] == UNKNOWN and (rows[1, 2:] == PADDING).all()
    assert (rows[2] == rows[1, 1]).all()
    wanted, _ = text_to_image.signature(data.spec)
    assert [tensor.shape for tensor in prompts.signature(wanted, data.spec)] == [(-1, 4), (1,)]
    assert of("text_to_image") is text_to_image
