"""What the model before makes of the same captions: asked in its own words, from the same seeds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from components.tasks import text_to_image
from components.trained import base_answers
from components.trained.torch_model import Reference
from data import captions
from models import text_to_image as family
from models.checkpoint import Checkpoint
from tests.models import tiny

LESS = {"steps": 2, "widths": (16,), "autoencoder_widths": (8, 16)}


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setattr(text_to_image, "CAPTIONS", 6)
    return tiny.prepare_captions(tmp_path / "prepared")


@pytest.fixture
def base(data) -> Checkpoint:
    """A model, with random weights, that knows fewer words in another order, and no eights and nines."""
    words = tuple(word for word in reversed(data.spec.words) if word not in ("eight", "nine"))
    spec = dataclasses.replace(data.spec, name="fewer", classes=data.spec.classes[:8], words=words)
    config = tiny.settings("text_to_image", **LESS)
    torch.manual_seed(0)
    model = family.build(config, spec)
    with torch.no_grad():  # also where a network begins with zeros
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    return Checkpoint(model.eval(), family, config, spec, 0, 1, {})


def test_it_is_asked_for_the_captions_in_its_own_words_and_from_the_same_seeds(base, data):
    found = base_answers.answers(base, data, torch.device("cpu"), threads=1)
    asked = data.test.captions[text_to_image.asked(data)]
    texts = [text.split() for text in captions.spell(asked, data.spec.words)]
    tokens = captions.encode(texts, base.spec.words, base.spec.longest_caption)
    with torch.no_grad():
        expected = family.graph(base.model)(torch.from_numpy(tokens), torch.tensor([0])).numpy()
    np.testing.assert_array_equal(found["before"], expected)
    assert len(np.unique(expected.reshape(6, -1), axis=0)) > 1

    # A model after it is asked the same: for one that draws as this one does, every image is the same.
    spec = dataclasses.replace(base.spec, name=data.spec.name)
    predict = Reference(
        family.graph(base.model), spec, text_to_image.signature(spec)[1], torch.device("cpu"), 1
    )
    np.testing.assert_array_equal(text_to_image.asked_for(predict, data), found["before"])


def test_new_is_what_it_does_not_know(base, data):
    found = base_answers.answers(base, data, torch.device("cpu"), threads=1)
    assert found["is_new"].tolist() == [False] * 8 + [True] * 2
