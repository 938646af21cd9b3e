"""DETR's matcher and losses against those of transformers, on the same answers and objects."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from transformers.loss import loss_deformable_detr, loss_for_object_detection, loss_rt_detr

from models.detr import Config, boxes
from models.detr.loss import Losses, matched_loss, set_loss
from models.detr.matcher import costs, match

NUM_CLASSES, QUERIES, LAYERS = 5, 12, 3
KINDS = ("cross_entropy", "focal", "varifocal")


def config(kind: str, **settings: object) -> Config:
    return Config(classification=kind, class_cost=1.5, class_weight=1.25, **settings)


def scenario(kind: str, counts=(3, 0, 6, 1), seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return logits [L, N, Q, outputs], boxes [L, N, Q, 4], labels [N, M] and targets [N, M, 4]."""
    random = torch.Generator().manual_seed(seed)
    outputs = NUM_CLASSES + (kind == "cross_entropy")
    num, most = len(counts), max(*counts, 1)
    logits = torch.randn(LAYERS, num, QUERIES, outputs, generator=random)
    found = 0.2 + 0.4 * torch.rand(LAYERS, num, QUERIES, 4, generator=random)
    there = torch.arange(most) < torch.tensor(counts)[:, None]
    labels = torch.where(there, torch.randint(NUM_CLASSES, (num, most), generator=random), -1)
    targets = (0.2 + 0.4 * torch.rand(num, most, 4, generator=random)) * there[..., None]
    return logits, found, labels, targets


def theirs(labels: Tensor, targets: Tensor) -> list[dict[str, Tensor]]:
    """Return the objects as transformers takes them."""
    return [
        {"class_labels": of_picture[of_picture >= 0], "boxes": where[of_picture >= 0]}
        for of_picture, where in zip(labels, targets, strict=True)
    ]


def peer(kind: str, settings: Config):
    """Return transformers' matcher and criterion."""
    weights = (settings.class_cost, settings.l1_cost, settings.giou_cost)
    if kind == "cross_entropy":
        matcher = loss_for_object_detection.HungarianMatcher(*weights)
        parts = ["labels", "boxes"]
        return matcher, loss_for_object_detection.ImageLoss(matcher, NUM_CLASSES, 0.1, parts)
    if kind == "focal":
        matcher = loss_deformable_detr.DeformableDetrHungarianMatcher(*weights)
        return matcher, loss_deformable_detr.DeformableDetrImageLoss(
            matcher, NUM_CLASSES, 0.25, ["labels", "boxes"]
        )
    told = SimpleNamespace(
        matcher_class_cost=weights[0],
        matcher_bbox_cost=weights[1],
        matcher_giou_cost=weights[2],
        use_focal_loss=True,
        matcher_alpha=0.25,
        matcher_gamma=2.0,
        num_labels=NUM_CLASSES,
        weight_loss_vfl=1,
        weight_loss_bbox=1,
        weight_loss_giou=1,
        eos_coefficient=0.1,
        focal_loss_alpha=0.75,
        focal_loss_gamma=2.0,
    )
    criterion = loss_rt_detr.RTDetrLoss(told)
    return criterion.matcher, criterion


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_matcher_agrees_with_transformers(kind, seed):
    settings = config(kind)
    logits, found, labels, targets = scenario(kind, seed=seed)
    ours = match(logits[0], found[0], labels, targets, settings)
    matcher, _ = peer(kind, settings)
    expected = matcher({"logits": logits[0], "pred_boxes": found[0]}, theirs(labels, targets))
    for row, of_picture, (queries, objects) in zip(ours, labels, expected, strict=True):
        assert (row >= 0).equal(of_picture >= 0)
        assert row[of_picture >= 0][objects].equal(queries)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("counts", [(3, 0, 6, 1), (0, 0), (2,)])
def test_losses_agree_with_transformers(kind, counts):
    settings = config(kind)
    logits, found, labels, targets = scenario(kind, counts)
    _, criterion = peer(kind, settings)
    wanted = {"kind": 0.0, "l1": 0.0, "giou": 0.0}
    for layer in range(LAYERS):
        answers = {"logits": logits[layer], "pred_boxes": found[layer]}
        parts = criterion(answers, theirs(labels, targets))
        wanted["kind"] += parts["loss_vfl" if kind == "varifocal" else "loss_ce"]
        wanted["l1"] += parts["loss_bbox"]
        wanted["giou"] += parts["loss_giou"]
    ours = set_loss(logits, found, labels, targets, settings)
    for name, value in wanted.items():
        torch.testing.assert_close(getattr(ours, name), torch.as_tensor(value), rtol=1e-5, atol=1e-5)


def test_the_whole_loss_and_its_gradient_agree_with_detr_for_object_detection():
    settings = config("cross_entropy").model_copy(update={"class_weight": 1.0})
    logits, found, labels, targets = scenario("cross_entropy")
    told = SimpleNamespace(
        class_cost=settings.class_cost,
        bbox_cost=settings.l1_cost,
        giou_cost=settings.giou_cost,
        num_labels=NUM_CLASSES,
        eos_coefficient=0.1,
        auxiliary_loss=True,
        decoder_layers=LAYERS,
        bbox_loss_coefficient=settings.l1_weight,
        giou_loss_coefficient=settings.giou_weight,
    )
    leaves = [tensor.clone().requires_grad_() for _ in range(2) for tensor in (logits, found)]
    ours = set_loss(*leaves[:2], labels, targets, settings).total(settings)
    expected, _, _ = loss_for_object_detection.ForObjectDetectionLoss(
        leaves[2][-1], theirs(labels, targets), "cpu", leaves[3][-1], told, leaves[2], leaves[3]
    )
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
    gradients = torch.autograd.grad(ours, leaves[:2]), torch.autograd.grad(expected, leaves[2:])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_assignment_is_the_cheapest(kind):
    settings = config(kind)
    logits, found, labels, targets = scenario(kind, (4,), seed=3)
    table = costs(logits[0], found[0], labels, targets, settings)[0]
    queries = match(logits[0], found[0], labels, targets, settings)[0]
    cheapest = table.numpy()[linear_sum_assignment(table.numpy())].sum()
    assert float(table[queries, torch.arange(4)].sum()) == pytest.approx(cheapest, abs=1e-5)
    assert len(set(queries.tolist())) == 4


def test_more_objects_than_queries_leave_some_without():
    settings = config("focal")
    logits, found, labels, targets = scenario("focal", (6,))
    queries = match(logits[0, :, :4], found[0, :, :4], labels, targets, settings)
    assert sorted(queries[0].tolist()) == [-1, -1, 0, 1, 2, 3]
    parts = set_loss(logits[:, :, :4], found[:, :, :4], labels, targets, settings)
    assert all(torch.isfinite(part) for part in parts)


@pytest.mark.parametrize("kind", KINDS)
def test_no_object_anywhere_teaches_the_classes_alone(kind):
    settings = config(kind)
    logits, found, labels, targets = scenario(kind, (0, 0))
    logits.requires_grad_()
    found.requires_grad_()
    parts = set_loss(logits, found, labels, targets, settings)
    assert parts.l1 == 0 and parts.giou == 0 and parts.kind > 0
    parts.total(settings).backward()
    assert logits.grad.abs().sum() > 0 and found.grad.abs().sum() == 0


def test_diverged_numbers_do_not_stop_the_matching():
    settings = config("focal")
    logits, found, labels, targets = scenario("focal", (2,))
    found[0, 0, 3] = float("nan")
    queries = match(logits[0], found[0], labels, targets, settings)
    assert (queries >= 0).all() and 3 not in queries


def test_what_does_not_count_is_left_out():
    settings = config("focal")
    logits, found, labels, targets = scenario("focal", (2,))
    queries = match(logits[0], found[0], labels, targets, settings)
    counted = torch.ones(1, QUERIES, dtype=torch.bool)
    whole = matched_loss(logits[0], found[0], labels, targets, queries, settings, counted=counted)
    spare = next(query for query in range(QUERIES) if query not in queries[0])
    counted[0, spare] = False
    less = matched_loss(logits[0], found[0], labels, targets, queries, settings, counted=counted)
    assert less.kind < whole.kind and less.l1 == whole.l1
    logits[0, 0, spare] = 9.0
    assert matched_loss(logits[0], found[0], labels, targets, queries, settings, counted=counted) == less


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(4)), st.permutations(range(QUERIES)))
def test_neither_the_order_of_objects_nor_that_of_queries_matters(objects, queries):
    settings = config("varifocal")
    logits, found, labels, targets = scenario("varifocal", (4, 2))
    expected = set_loss(logits, found, labels, targets, settings)
    shuffled: Losses = set_loss(
        logits[:, :, queries], found[:, :, queries], labels[:, objects], targets[:, objects], settings
    )
    for a, b in zip(shuffled, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_a_perfect_answer_costs_nothing_but_its_doubt():
    settings = config("focal")
    _, _, labels, targets = scenario("focal", (3,))
    found = torch.cat([targets, torch.full((1, QUERIES - 3, 4), 0.5)], dim=1)
    logits = torch.full((1, QUERIES, NUM_CLASSES), -20.0)
    logits[0, torch.arange(3), labels[0]] = 20.0
    parts = set_loss(logits[None], found[None], labels, targets, settings)
    assert float(parts.kind) < 1e-6 and float(parts.l1) < 1e-6 and float(parts.giou) < 1e-5
    assert boxes.to_corners(found).shape == found.shape
