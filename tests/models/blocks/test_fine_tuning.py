"""Starting from weights: the cnn trained on half of the digits is the base of another."""

import pytest
import torch
from safetensors.torch import load_file, save_file

import models
from data.errors import UserError
from models.blocks import fine_tuning
from tests.models import tiny

SMALL = {"widths": (8, 16), "epochs": 1, "least_steps": 1}


@pytest.fixture(scope="module")
def base(digits, tmp_path_factory):
    """The folder of a small trained cnn."""
    folder = tmp_path_factory.mktemp("base")
    model, run = tiny.fitted("cnn", digits, overrides=SMALL)
    tiny.save(folder, "cnn", model.config, digits, model, run)
    return folder


def started(base, digits, family: str = "cnn", **overrides):
    """Return a model that has the weights of its base and is not trained."""
    model = tiny.begin(family, tiny.settings(family, base=str(base), **overrides), digits)
    fine_tuning.begin(model)
    return model


def test_all_but_the_last_layer_is_the_base(base, digits):
    weights = load_file(base / "model.safetensors")
    ours = started(base, digits, widths=(8, 16)).state_dict()
    assert all(torch.equal(ours[name], weights[name]) for name in ours if not name.startswith("classify."))
    assert not torch.equal(ours["classify.1.weight"], weights["classify.1.weight"])


def test_what_is_frozen_does_not_change_in_training(base, digits):
    overrides = SMALL | {"base": str(base), "freeze": "backbone", "widths": (8, 16), "learning_rate": 0.1}
    _, run = tiny.fitted("cnn", digits, overrides=overrides)
    weights, changed = load_file(base / "model.safetensors"), []
    for name, value in run.outcome.last.items():
        if not torch.equal(value, weights[name]):
            changed.append(name)
    assert changed == ["classify.1.weight", "classify.1.bias"]


def test_lower_layers_learn_more_slowly():
    config = models.family("cnn").Config(layer_decay=0.5)
    names = ["features.network.layer1.0.conv1.weight", "features.network.layer1.1.bn1.bias"]
    names += ["features.network.layer2.0.conv1.weight", "classify.1.weight"]
    assert list(config.rates(names).values()) == [0.25, 0.25, 0.5, 1.0]
    names = ["class_token", "encoder.layers.0.norm.weight", "encoder.layers.1.norm.weight", "classify.weight"]
    assert list(config.rates(names).values()) == [0.125, 0.25, 0.5, 1.0]
    assert set(models.family("cnn").Config().rates(names).values()) == {1.0}


def test_all_that_stands_on_a_backbone_learns_at_the_full_rate():
    config = models.family("segmenter").Config(layer_decay=0.5)
    names = ["classes", "bias", "features.network._conv_stem.weight", "features.network._blocks.0._bn1.bias"]
    names += ["embed.weight", "encoder.layers.0.norm.weight", "to_classes.weight"]
    assert list(config.rates(names).values()) == [1.0, 1.0, 0.25, 0.5, 1.0, 1.0, 1.0]


def test_a_decay_of_the_rate_reaches_the_optimizer(base, digits):
    overrides = SMALL | {"base": str(base), "weight_decay": 0.0}
    moved = {}
    for decay in (1.0, 1e-6):
        before = started(base, digits, widths=(8, 16)).state_dict()["features.0.weight"]
        _, run = tiny.fitted("cnn", digits, overrides=overrides | {"layer_decay": decay})
        moved[decay] = float((run.outcome.last["features.0.weight"] - before).abs().max())
    assert moved[1e-6] < 1e-6 < 1e-4 < moved[1.0]


def test_few_labels_a_class_are_learned_from(base, digits):
    _, run = tiny.fitted("cnn", digits, overrides=SMALL | {"shots": 2, "batch_size": 10, "epochs": 3})
    assert run.outcome.steps == 3 * 2 * digits.spec.num_classes / 10


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"widths": (8, 32)}, r"model\.safetensors: holds .* architecture: it has 'features\.2\S* of"),
        ({"widths": (8, 16, 16)}, r"it has no 'features\.3"),
        ({"backbone": "efficientnet_lite0"}, "it has no 'features.network._conv_stem.weight'"),
    ],
)  # fmt: skip
def test_weights_of_another_architecture_are_refused(base, digits, overrides, told):
    with pytest.raises(UserError, match=told):
        started(base, digits, **overrides)


def test_a_tensor_that_the_network_has_not_is_told():
    tensors = {"weight": torch.ones(1, 1), "scale": torch.ones(1)}
    with pytest.raises(
        UserError, match=r"^w: holds .*: it has 'scale', which the network has not; 1 such diff"
    ):
        fine_tuning.fit_in(torch.nn.Linear(1, 1, bias=False), tensors, "w", "classify")


def test_nothing_is_frozen_that_was_not_learned(digits):
    with pytest.raises(UserError, match=r"overrides\.freeze: 'backbone' keeps what was learned before"):
        tiny.fitted("cnn", digits, overrides=SMALL | {"freeze": "backbone"})


def test_a_vit_starts_from_a_vit(digits, tmp_path):
    small = {"width": 16, "depth": 1, "hidden": 16, "epochs": 1, "least_steps": 1}
    model, run = tiny.fitted("vit", digits, overrides=small)
    tiny.save(tmp_path, "vit", model.config, digits, model, run)
    shape = {key: small[key] for key in ("width", "depth", "hidden")}
    ours = started(tmp_path, digits, "vit", **shape).state_dict()
    assert torch.equal(ours["positions"], model.state_dict()["positions"])
    with pytest.raises(UserError, match="of shape"):
        started(tmp_path, digits, "vit", **shape | {"width": 8})


def test_batch_counters_may_be_left_out(base, digits, tmp_path):
    weights = load_file(base / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.endswith("num_batches_tracked")}
    assert len(kept) < len(weights)
    save_file(kept, tmp_path / "model.safetensors")
    ours = started(tmp_path, digits, widths=(8, 16)).state_dict()
    assert torch.equal(ours["features.0.weight"], weights["features.0.weight"])
