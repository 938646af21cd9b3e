"""The segmenter: its masks lie where the pixels are, its loss counts what counts, and masks move with their images."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from data.errors import UserError
from data.prepared import UNCOUNTED
from models import segmenter
from models.blocks import fine_tuning, weight_files
from models.segmenter.fit import Nats
from tests.models import exported, tiny
from tests.models.weights import lite0_folder

SMALL = {"width": 16, "hidden": 24, "depth": 1, "pixels": 8}


@pytest.mark.parametrize(
    ("size", "grid", "stem", "patch"),
    [
        ((32, 32), 8, (4, 8), (4, 4)),
        ((30, 45), 5, (4,), (6, 10)),
        ((33, 31), 4, (), (9, 8)),
        ((8, 8), 7, (4, 4), (4, 4)),
    ],
)
def test_every_pixel_of_images_of_every_size_has_its_logits(digit_scenes, size, grid, stem, patch):
    spec = dataclasses.replace(digit_scenes.spec, height=size[0], width=size[1])
    model = segmenter.build(segmenter.Config(grid=grid, stem=stem, **SMALL), spec).eval()
    assert model.patch == patch
    with torch.no_grad():
        logits = model(torch.rand(2, 1, *size))
        assert logits.shape == (2, 11, *size)
        mask = segmenter.graph(model)(torch.randint(0, 256, (2, *size, 1), dtype=torch.uint8))
    assert mask.shape == (2, *size) and mask.dtype == torch.uint8


def test_the_embeddings_of_a_patch_are_laid_out_where_it_lies(digit_scenes):
    model = segmenter.build(segmenter.Config(grid=4, stem=(), **SMALL), digit_scenes.spec)
    (rows, columns), (height, width) = model.embed.grid, model.patch
    patches = torch.arange(rows * columns * height * width * 8.0).reshape(1, rows * columns, -1)
    spread = model._spread(patches)
    for row, column in ((0, 0), (3, 17), (9, 4), (31, 31)):
        tile = patches[0, row // height * columns + column // width].reshape(height, width, 8)
        torch.testing.assert_close(spread[0, row, column], tile[row % height, column % width])


def test_what_the_stem_sees_reaches_its_own_pixels_without_the_transformer(digit_scenes):
    torch.manual_seed(0)
    model = segmenter.build(
        segmenter.Config(grid=8, stem=(4, 8), stem_depth=0, **SMALL), digit_scenes.spec
    ).eval()
    torch.nn.init.zeros_(model.to_pixels.weight)
    torch.nn.init.zeros_(model.at_pixels.weight)
    x = torch.rand(1, 1, 32, 32, requires_grad=True)
    seen = model._seen(model.standardise(x), model.stem(model.standardise(x)))
    seen[0, 14, 22].norm().backward()  # in the cell (3, 5) of 4 x 4 pixels
    rows, columns = x.grad[0, 0].nonzero(as_tuple=True)
    assert rows.min() >= 8 and rows.max() <= 18 and columns.min() >= 16 and columns.max() <= 26
    assert x.grad[0, 0, 12:16, 20:24].all()


def test_a_pixel_decides_on_its_own_mask_most(digit_scenes):
    torch.manual_seed(0)
    model = segmenter.build(segmenter.Config(grid=8, stem=(4, 8), **SMALL), digit_scenes.spec).eval()
    x = torch.rand(1, 1, 32, 32, requires_grad=True)
    model(x)[0, :, 5, 20].norm().backward()
    assert (x.grad != 0).float().mean() > 0.8, "attention looks everywhere"
    near = x.grad[0, 0, 4:7, 19:22].abs().mean()
    assert near > 3 * x.grad.abs().mean()


def test_the_two_parts_of_the_loss_are_pytorch_s_cross_entropy():
    torch.manual_seed(0)
    logits, masks = torch.randn(3, 5, 6, 7), torch.randint(0, 5, (3, 6, 7))
    masks[0, :3] = UNCOUNTED
    nats = Nats.of(logits, masks.to(torch.uint8))
    theirs = functional.cross_entropy(logits, masks, ignore_index=UNCOUNTED, reduction="sum")
    torch.testing.assert_close(nats.ground + nats.classes, theirs)
    counted = masks != UNCOUNTED
    assert nats.counted == counted.sum() and nats.objects == (counted & (masks > 0)).sum()
    assert nats.right == ((logits.argmax(dim=1) == masks) & counted).sum()
    torch.testing.assert_close(nats.loss(3.0), nats.ground / nats.counted + 3 * nats.classes / nats.objects)


def test_smoothing_is_pytorch_s_among_the_classes():
    torch.manual_seed(0)
    logits, masks = torch.randn(3, 5, 6, 7), torch.randint(1, 5, (3, 6, 7))
    theirs = functional.cross_entropy(logits[:, 1:], masks - 1, reduction="sum", label_smoothing=0.1)
    torch.testing.assert_close(Nats.of(logits, masks, 0.1).classes, theirs)


def test_pictures_of_which_nothing_counts_have_no_loss_and_a_gradient():
    logits = torch.randn(3, 5, 6, 7, requires_grad=True)
    loss = Nats.of(logits, torch.full((3, 6, 7), UNCOUNTED, dtype=torch.uint8)).loss(1.0)
    loss.backward()
    assert loss == 0 and (logits.grad == 0).all()


def test_a_mask_moves_with_its_image():
    config = segmenter.Config(shift=3, stretch=0.2, flip=True)
    mask = torch.randint(0, 11, (20, 1, 16, 16)).float()
    image = mask / 255
    changed = config.change(torch.cat([image, mask], dim=1), torch.Generator().manual_seed(0))
    torch.testing.assert_close(changed[:, 0] * 255, changed[:, 1])
    assert (changed[:, 1] != mask[:, 0]).any() and set(changed[:, 1].unique().tolist()) <= set(range(11))


def test_it_learns_what_a_few_scenes_hold(digit_scenes):
    model, run = tiny.fitted("segmenter", digit_scenes, overrides={"epochs": 20, "learning_rate": 5e-3})
    assert run.history[-1]["train_loss"] < 0.5 * run.history[0]["train_loss"]
    model.load_state_dict(run.outcome.last)  # of so few scenes the first weights validate best
    found = segmenter.graph(model)(torch.from_numpy(np.array(digit_scenes.train.images[1:25]))).numpy()
    truth = digit_scenes.train.masks[1:25]
    ink = truth > 0
    assert (found[ink] > 0).mean() > 0.6 and (found[~ink] == 0).mean() > 0.9
    assert (found[ink] == truth[ink]).mean() > 0.4, "of ten classes and the ground"


def test_a_family_of_segmentation_needs_masks(digit_scenes):
    bare = dataclasses.replace(digit_scenes.spec, has_masks=False)
    bare.require("detection", "here")
    with pytest.raises(UserError, match=r"here: 'digit_scenes' has boxes and no masks"):
        bare.require("segmentation", "here")


LITE0 = {"backbone": "efficientnet_lite0", "grid": 2, "epochs": 1, "least_steps": 1, "batch_size": 8}


@pytest.fixture(scope="module")
def lite0(tmp_path_factory):
    """The folder of EfficientNet-Lite0's weights, as ImageNet taught them."""
    return lite0_folder(tmp_path_factory.mktemp("lite0"))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (70, 45)])
def test_a_backbone_s_maps_reach_every_pixel(digit_scenes, height, width):
    spec = dataclasses.replace(digit_scenes.spec, height=height, width=width)
    model = segmenter.build(segmenter.Config(backbone="efficientnet_lite0", grid=3, **SMALL), spec).eval()
    with torch.no_grad():
        assert model(torch.rand(2, 1, height, width)).shape == (2, 11, height, width)
    assert model.embed.in_channels == 1280 and [skip.in_channels for skip in model.skips][-1] == 1280


def test_on_a_backbone_it_is_a_graph_of_any_batch(digit_scenes, tmp_path):
    torch.manual_seed(0)
    config = segmenter.Config(backbone="resnet18", grid=2, **SMALL)
    model = segmenter.build(config, digit_scenes.spec).eval()
    assert exported.compare("segmenter", model, digit_scenes, tmp_path) == set("127")


@pytest.mark.parametrize("freeze", ["none", "backbone"])
def test_it_starts_from_a_backbone_that_may_stay_as_it_is(digit_scenes, lite0, freeze):
    given = weight_files.read(weight_files.in_folder(lite0))
    settings = LITE0 | {"base": str(lite0), "freeze": freeze, "ema_decay": 0.0}
    model, _ = tiny.fitted("segmenter", digit_scenes, overrides=settings)
    start = tiny.begin("segmenter", tiny.settings("segmenter", **settings), digit_scenes)
    fine_tuning.begin(start)
    for name, value in start.features.network.state_dict().items():
        assert torch.equal(value, given[name])
        if freeze == "backbone":
            assert torch.equal(model.features.network.state_dict()[name], value), name
    moved = {
        name.split(".")[0]
        for name, value in model.named_parameters()
        if not torch.equal(value, start.get_parameter(name))
    }
    assert ("features" in moved) is (freeze == "none")


def test_a_segmenter_starts_from_a_segmenter_of_other_classes(digit_scenes, tmp_path):
    small = SMALL | {"stem": (4, 8), "grid": 4, "epochs": 1, "least_steps": 1}
    model, run = tiny.fitted("segmenter", digit_scenes, overrides=small)
    tiny.save(tmp_path, "segmenter", model.config, digit_scenes, model, run)
    spec = dataclasses.replace(digit_scenes.spec, classes=("a", "b"))
    config = tiny.settings("segmenter", base=str(tmp_path), freeze="backbone", **small)
    ours = segmenter.build(config, spec)
    fine_tuning.begin(ours)
    theirs = model.state_dict()
    assert all(
        torch.equal(value, theirs[name])
        for name, value in ours.state_dict().items()
        if name not in ("classes", "bias")
    )
    assert ours.bias.shape == (3,)
    learning = {name.split(".")[0] for name, value in ours.named_parameters() if value.requires_grad}
    assert learning == {"classes", "decoder", "at_pixels", "skips", "to_pixels", "to_classes", "bias"}


def test_weights_of_another_backbone_are_refused(digit_scenes, lite0):
    config = tiny.settings("segmenter", base=str(lite0), backbone="resnet18", grid=2)
    told = r"model\.safetensors: holds the weights of another architecture: it has no 'conv1\.weight'"
    with pytest.raises(UserError, match=told):
        fine_tuning.begin(segmenter.build(config, digit_scenes.spec))
