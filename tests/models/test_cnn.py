"""The convolutional network: an answer is of its image alone."""

from __future__ import annotations

import torch

import models
from tests.models import tiny


def test_an_answer_does_not_depend_on_the_batch(digits):
    model, _ = tiny.fitted("cnn", digits)
    graph = models.family("cnn").graph(model)
    images = torch.as_tensor(digits.test.images[:9])
    with torch.no_grad():
        together, alone = graph(images), torch.cat([graph(image[None]) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_exporting_leaves_the_model_as_it_was(digits):
    model, _ = tiny.fitted("cnn", digits)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    models.family("cnn").graph(model)(torch.as_tensor(digits.test.images[:2]))
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
