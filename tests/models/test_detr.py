"""DETR: answers are of their picture alone, denoising tells nothing, pictures without objects, boxes that find them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.blocks.pixels import unit
from models.detr import Config, boxes, build, graph, position_encoding, query_attention
from models.detr.denoising import FAR, NEAR, disturb
from models.detr.fit import train_loss
from models.detr.matcher import match
from models.detr.zoom import relight, zoom
from tests.models import tiny

SMALL = {"backbone": (8, 16), "width": 16, "hidden": 16, "heads": 2}
KINDS = ("cross_entropy", "focal", "varifocal")


def network(spec, **overrides):
    torch.manual_seed(0)
    return build(Config(**SMALL | overrides), spec)


def batch(data, count: int = 6):
    """Return pictures, labels and centre boxes of the first training images, of which the very first is empty."""
    split = data.train
    targets = boxes.to_centre(torch.from_numpy(split.boxes[:count].copy()))
    return (
        unit(torch.from_numpy(split.images[:count].copy())),
        torch.from_numpy(split.box_labels[:count].copy()),
        targets,
    )


@pytest.mark.parametrize("queries", ["cells", 7])
def test_an_answer_is_of_its_picture_alone(digit_scenes, queries):
    detector = graph(network(digit_scenes.spec, queries=queries))
    images = torch.from_numpy(digit_scenes.test.images[:5].copy())
    size = torch.tensor([[32, 32], [64, 48], [10, 99], [5, 5], [480, 640]])
    with torch.no_grad():
        together = detector(images, size)
        alone = [detector(images[i : i + 1], size[i : i + 1]) for i in range(5)]
    for whole, parts in zip(together, zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(whole, torch.cat(parts), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_are_in_the_pixels_of_the_original(digit_scenes, kind):
    detector = graph(network(digit_scenes.spec, classification=kind))
    images = torch.from_numpy(digit_scenes.test.images[:2].copy())
    with torch.no_grad():
        small, scores, labels = detector(images, torch.tensor([[1, 1]]).expand(2, 2))
        large, *_ = detector(images, torch.tensor([[480, 640]]).expand(2, 2))
    torch.testing.assert_close(small * torch.tensor([640, 480, 640, 480]), large)
    assert small.min() >= 0 and small.max() <= 1 and (small[..., 2:] >= small[..., :2]).all()
    assert ((scores >= 0) & (scores <= 1)).all() and ((labels >= 0) & (labels < 10)).all()


@pytest.mark.parametrize(("height", "width", "channels"), [(8, 8, 1), (32, 20, 3), (17, 45, 1)])
@pytest.mark.parametrize("preset", ["quick", "full"])
def test_pictures_of_any_size_and_colour(digit_scenes, preset, height, width, channels):
    spec = replace(
        digit_scenes.spec,
        height=height,
        width=width,
        channels=channels,
        mean=(0.3,) * channels,
        std=(0.2,) * channels,
    )
    model = build(getattr(Config, preset)(), spec).eval()
    images = np.zeros((2, height, width, channels), np.uint8)
    with torch.no_grad():
        found, scores, _ = graph(model)(
            torch.from_numpy(images), torch.tensor([[height, width]]).expand(2, 2)
        )
    assert torch.isfinite(found).all() and torch.isfinite(scores).all()
    maps = query_attention(model, images)
    assert maps.shape == (2, found.shape[1], height, width)
    np.testing.assert_allclose(maps.max(axis=(2, 3)), 1)


@pytest.mark.parametrize(
    ("height", "width", "objects", "cells"),
    [
        (48, 48, 6, 36),
        (160, 160, 6, 400),
        (168, 160, 6, 110),
        (224, 224, 6, 196),
        (224, 224, 150, 784),
        (640, 480, 6, 300),
        (16, 16, 6, 16),
        (8, 8, 6, 16),
        (48, 48, 30, 144),
        (4, 4, 30, 4),
    ],
)
def test_pictures_are_halved_as_often_as_their_objects_allow(digit_scenes, height, width, objects, cells):
    spec = replace(digit_scenes.spec, height=height, width=width, max_objects=objects)
    model = network(spec, backbone=(4, 4, 8)).eval()
    with torch.no_grad():
        assert model(torch.zeros(1, 1, height, width)).logits.shape == (1, cells, 10)


@pytest.mark.parametrize("kind", KINDS)
def test_the_surest_cells_become_queries(digit_scenes, kind):
    """Of all cells twice as many as a picture may have objects: where one is most likely, with what is seen there."""
    model = network(digit_scenes.spec, queries_per_object=2, classification=kind).eval()
    x_bchw, *_ = batch(digit_scenes)
    with torch.no_grad():
        every = network(digit_scenes.spec, classification=kind).eval().see(x_bchw)
        seen, answers = model.see(x_bchw), model(x_bchw)
    queries = 2 * digit_scenes.spec.max_objects
    assert answers.boxes.shape == (len(x_bchw), queries, 4) and queries < every.anchors.shape[1]
    logits = seen.cells.logits[0]
    torch.testing.assert_close(logits, every.cells.logits[0])
    if kind == "cross_entropy":
        sure = (logits[..., :-1] - logits[..., -1:]).amax(dim=-1)
    else:
        sure = logits.sigmoid().amax(dim=-1)
    for picture, of_picture in enumerate(sure):
        places = sorted(range(len(of_picture)), key=lambda place: -of_picture[place])[:queries]
        torch.testing.assert_close(seen.content[picture], every.content[picture, sorted(places)])
        torch.testing.assert_close(seen.anchors[picture], every.anchors[picture, sorted(places)])


def test_the_queries_attention_is_that_of_the_decoding(digit_scenes):
    """What is drawn is taken from the same queries, at the same anchors, that the last layer decodes."""
    model = network(digit_scenes.spec, decoder_depth=2).eval()
    x_bchw, *_ = batch(digit_scenes, 2)
    asked = []
    cross = model.decoder.layers[-1].cross_attention
    cross.register_forward_hook(
        lambda module, given, named, _: asked.append((given, named)), with_kwargs=True
    )
    with torch.no_grad():
        seen = model.see(x_bchw)
        model.decode(seen)
        maps = model.decoder.looks(seen.content, seen.anchors, seen.memory, seen.grid)
        ((given, named),) = asked
        torch.testing.assert_close(maps, cross.map(*given, bias=named["bias"]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("queries", ["cells", 7])
def test_pictures_without_objects_have_a_loss_with_a_gradient(digit_scenes, kind, queries):
    model = network(digit_scenes.spec, classification=kind, queries=queries, denoising=2)
    x_bchw, labels, targets = batch(digit_scenes)
    assert (labels[0] < 0).all() and (labels[1:] >= 0).any()
    for chosen in (slice(0, 1), slice(0, 6)):
        model.zero_grad()
        loss = train_loss(
            model, x_bchw[chosen], labels[chosen], targets[chosen], torch.Generator().manual_seed(0)
        )
        loss.backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        assert torch.isfinite(loss) and all(torch.isfinite(gradient).all() for gradient in gradients)


def test_every_weight_learns(digit_scenes):
    model = network(digit_scenes.spec, denoising=1)
    train_loss(model, *batch(digit_scenes), torch.Generator().manual_seed(0)).backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # What moves boxes starts at zero, so that nothing behind it has a gradient before the first step.
    assert all(name.startswith(("box.0", "decoder.move.0")) for name in idle), idle


def test_disturbed_boxes_tell_the_real_queries_nothing(digit_scenes):
    model = network(digit_scenes.spec, denoising=2).eval()
    x_bchw, labels, targets = batch(digit_scenes)
    seen = model.see(x_bchw)
    num = seen.content.shape[1]
    noised = disturb(
        labels, targets, groups=2, num_classes=10, num_queries=num, generator=torch.Generator().manual_seed(0)
    )
    alone, beside = model.decode(seen), model.decode(seen, noised)
    torch.testing.assert_close(beside.logits[:, :, :num], alone.logits)
    torch.testing.assert_close(beside.boxes[:, :, :num], alone.boxes)
    # Nor do the groups see each other: another second group leaves the first one's answers.
    half = num + noised.labels.shape[1] // 2
    anchors = noised.anchors.clone()
    anchors[:, half - num :] = 0.5
    other = model.decode(seen, noised._replace(anchors=anchors))
    torch.testing.assert_close(other.boxes[:, :, :half], beside.boxes[:, :, :half])
    assert not torch.allclose(other.boxes[:, :, half:], beside.boxes[:, :, half:])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3))
def test_near_boxes_are_nearer_than_far_ones(seed, groups):
    random = torch.Generator().manual_seed(seed)
    labels = torch.tensor([[3, 1, -1], [-1, -1, -1]])
    targets = torch.cat(
        [torch.full((2, 3, 2), 0.5), 0.1 + 0.2 * torch.rand(2, 3, 2, generator=random)], dim=2
    )
    noised = disturb(labels, targets, groups=groups, num_classes=10, num_queries=4, generator=random)
    assert noised.anchors.shape == (2, groups * 6, 4)
    assert noised.counted.sum() == groups * 2 * 2
    assert (noised.queries[1] == -1).all()
    away = (boxes.to_corners(noised.anchors) - boxes.to_corners(targets).repeat(1, groups * 2, 1)).abs()
    away = (away / (targets.repeat(1, groups * 2, 1)[..., 2:].repeat(1, 1, 2) / 2))[0]
    for group in range(groups):
        for place, label in enumerate(labels[0]):
            near, far = group * 6 + place, group * 6 + 3 + place
            assert noised.queries[0, group * 3 + place] == (near if label >= 0 else -1)
            assert away[near].max() <= NEAR + 1e-3
            assert away[far].min() >= NEAR - 1e-3 and away[far].max() <= FAR + 1e-3
    assert not noised.hidden[:, :4].any() and noised.hidden[:4, 4:].all()


def test_boxes_go_with_what_is_in_them():
    random = np.random.default_rng(0)
    pictures, corners = np.zeros((40, 1, 48, 48), np.float32), np.zeros((40, 2, 4), np.float32)
    for k in range(40):
        x0, y0 = random.integers(4, 24, 2)
        x1, y1 = x0 + random.integers(8, 20), y0 + random.integers(8, 20)
        pictures[k, 0, y0:y1, x0:x1] = 1
        corners[k, 0] = np.array([x0, y0, x1, y1]) / 48
    labels = torch.tensor([[2, -1]]).expand(40, 2)
    changed, kinds, moved = zoom(
        torch.from_numpy(pictures), labels, torch.from_numpy(corners), 0.4, torch.Generator().manual_seed(0)
    )
    for picture, kind, box in zip(changed[:, 0], kinds, moved, strict=True):
        assert kind[1] == -1 and (box[1] == 0).all()
        if kind[0] < 0:
            continue
        rows, columns = (picture > 0.5).any(dim=1).nonzero(), (picture > 0.5).any(dim=0).nonzero()
        seen = torch.tensor([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 48
        assert (seen - box[0]).abs().max() <= 1.01 / 48
    assert (kinds[:, 0] >= 0).float().mean() > 0.8


def test_pictures_as_they_are_where_nothing_is_changed(digit_scenes):
    x_bchw, labels, targets = batch(digit_scenes)
    random = torch.Generator().manual_seed(0)
    state = random.get_state()
    changed = (*zoom(x_bchw, labels, targets, 0.0, random), relight(x_bchw, 0.0, random))
    assert all(a is b for a, b in zip(changed, (x_bchw, labels, targets, x_bchw), strict=True))
    assert random.get_state().equal(state)
    lit = relight(x_bchw, 0.3, random)
    assert lit.min() >= 0 and lit.max() <= 1 and not torch.equal(lit, x_bchw)


def test_cells_are_told_apart_by_their_positions():
    points = position_encoding.cells(6, 9)
    assert points.shape == (54, 2)
    torch.testing.assert_close(points[1], torch.tensor([1.5 / 9, 0.5 / 6]))
    encoded = position_encoding.of_points(points, 32)
    distance = torch.cdist(encoded, encoded) + 9 * torch.eye(54)
    assert distance.min() > 0.3
    nearest = (points[distance.argmin(dim=1)] - points).abs() * torch.tensor([9.0, 6.0])
    torch.testing.assert_close(nearest.sum(dim=1), torch.ones(54))


def test_an_odd_width_has_no_waves():
    with pytest.raises(ValueError, match="width of 5"):
        position_encoding.waves(torch.zeros(1), 5)


def test_it_finds_objects(digit_scenes):
    """A few seconds' training puts boxes on digits, of which it cannot yet read the class."""
    overrides = SMALL | {
        "width": 32,
        "hidden": 64,
        "backbone": (16, 32),
        "least_steps": 250,
        "batch_size": 16,
    }
    model = tiny.fitted("detr", digit_scenes, overrides=overrides | {"learning_rate": 4e-3})[0]
    split = digit_scenes.test
    labels, corners = torch.from_numpy(split.box_labels.copy()), torch.from_numpy(split.boxes.copy())
    with torch.no_grad():
        answers = model(unit(torch.from_numpy(split.images.copy())))
    config = model.config.model_copy(update={"class_cost": 0.0})
    queries = match(answers.logits, answers.boxes, labels, boxes.to_centre(corners), config)
    found = boxes.to_corners(answers.boxes).gather(1, queries.clamp(min=0)[..., None].expand(-1, -1, 4))
    iou, _ = boxes.overlap(found, corners)
    assert iou[labels >= 0].mean() > 0.6
