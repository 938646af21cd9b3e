"""Two ranks take the steps that one process takes with the same batches, in every family that is trained by steps."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch

from models import checkpoint
from models.registry import FAMILIES
from tests.models import ranked
from tests.models.hooks import ONE_DEVICE

QUICK = ("mlp", "gan", "ddpm")
"""One for each way to train: by the loop, by two players, of noise."""
CHANGES: dict[str, dict[str, object]] = {
    "cnn": {"shift": 1, "stretch": 0.1, "flip": True, "cutout": 3, "imbalance": "weights"},
    "detr": {"denoising": 2},
    "encoder_decoder": {"forcing": 0.5},
    "gan": {"loss": "wasserstein_gp"},
    "mlp": {"flip": True, "augmentation": {"crop": 0.7}},
}
"""Settings that a family draws or counts by, and that its quick preset leaves out."""
STEPPING = [name for name in FAMILIES if name not in ONE_DEVICE]


@pytest.fixture(scope="module")
def courses(suitable, tmp_path_factory) -> Callable[[str], list[tuple]]:
    """Give of a family the (gradients, history, weights) of one process and of two ranks, for all of its group once."""

    @functools.cache
    def of(group: tuple[str, ...]) -> dict[str, list[tuple]]:
        outs = {how: tmp_path_factory.mktemp(how) for how in ("alone", "pair")}
        trainings = {
            how: [
                ranked.Training(
                    family,
                    suitable(family).folder,
                    out / family,
                    ranked.UNEVEN | CHANGES.get(family, {}),
                    precisely=True,
                )
                for family in group
            ]
            for how, out in outs.items()
        }
        ranked.go_through(trainings["alone"])
        ranked.in_pair(trainings["pair"])
        return {
            family: [
                (*torch.load(out / family / "course.pt"), checkpoint.load(out / family).model.state_dict())
                for out in outs.values()
            ]
            for family in group
        }

    def course(family: str) -> list[tuple]:
        group = QUICK if family in QUICK else tuple(name for name in STEPPING if name not in QUICK)
        return of(group)[family]

    return course


@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in STEPPING]
)
def test_two_ranks_take_the_steps_of_one_process(family, courses):
    (gradients, history, weights), (theirs, their_history, their_weights) = courses(family)
    assert len(gradients) == len(theirs) >= 3
    for ours, other in zip(gradients, theirs, strict=True):
        assert ours.dtype == torch.float64
        assert float((ours - other).norm()) <= 1e-10 * float(ours.norm())
    assert len(history) == len(their_history) > 0
    for ours, other in zip(history, their_history, strict=True):
        assert other == pytest.approx(ours, rel=1e-6)
    assert weights.keys() == their_weights.keys()
    for key, ours in weights.items():
        torch.testing.assert_close(their_weights[key], ours, rtol=1e-6, atol=1e-7)
