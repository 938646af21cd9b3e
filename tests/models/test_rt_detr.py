"""RT-DETR in the place of the family's own network: a small one that transformers wrote stands in for a trained one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from data.errors import UserError
from models import checkpoint, detr
from models.blocks import fine_tuning
from models.blocks.pixels import unit
from tests.models import exported, tiny

SHORT = {"epochs": 1, "least_steps": 1, "batch_size": 8}
SIZES = {
    "backbone_config": {
        "model_type": "rt_detr_resnet",
        "embedding_size": 8,
        "hidden_sizes": [8, 8, 16, 16],
        "depths": [1, 1, 1, 1],
        "layer_type": "basic",
        "out_features": ["stage2", "stage3", "stage4"],
    },
    "encoder_in_channels": [8, 16, 16],
    "encoder_hidden_dim": 16,
    "encoder_ffn_dim": 16,
    "encoder_attention_heads": 2,
    "d_model": 16,
    "decoder_in_channels": [16, 16, 16],
    "decoder_ffn_dim": 16,
    "decoder_layers": 2,
    "decoder_attention_heads": 2,
    "num_queries": 12,
    "hidden_expansion": 1.0,
}


def write_base(folder: Path, seed: int = 1, **config: object) -> Path:
    """Write a small untrained RT-DETR of three classes with transformers alone, as a user would bring one."""
    from transformers.models.rt_detr import RTDetrConfig, RTDetrForObjectDetection, RTDetrImageProcessor

    torch.manual_seed(seed)
    network = RTDetrForObjectDetection(RTDetrConfig(**SIZES | {"num_labels": 3} | config))
    for module in network.modules():  # those that transformers draws are near 0, and cells hardly differ
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
    network.save_pretrained(folder)
    RTDetrImageProcessor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("rt-detr"))


def begun(base, spec, **overrides):
    torch.manual_seed(0)
    model = detr.build(tiny.settings("detr", base=str(base), **overrides), spec)
    fine_tuning.begin(model)
    return model


def test_it_answers_as_transformers_does_with_the_base_s_weights(base, digit_scenes):
    from transformers.models.rt_detr import RTDetrForObjectDetection

    theirs = RTDetrForObjectDetection.from_pretrained(base).eval()
    model = begun(base, replace(digit_scenes.spec, classes=("a", "b", "c"))).eval()
    state = theirs.model.state_dict()
    model.base.load_state_dict({name: state[name] for name in model.base.state_dict()})
    x = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        ours, wanted = model(x), theirs(pixel_values=x)
    for picture in range(2):
        found, known = ours.boxes[picture], wanted.pred_boxes[picture]
        order = torch.cdist(known, found).argmin(dim=1)
        assert sorted(order.tolist()) == list(range(12))
        torch.testing.assert_close(found[order], known)
        torch.testing.assert_close(ours.logits[picture][order], wanted.logits[picture])


def test_all_but_the_classes_is_the_base(base, digit_scenes):
    from transformers.models.rt_detr import RTDetrForObjectDetection

    given = RTDetrForObjectDetection.from_pretrained(base).model.state_dict()
    ours = begun(base, digit_scenes.spec).base.state_dict()
    assert ours["enc_score_head.bias"].shape == (10,)
    new = {name for name, value in ours.items() if not torch.equal(value, given[name])}
    assert new == {name for name in ours if name.startswith(("enc_score_head", "decoder.class_embed"))}


def test_sides_that_32_does_not_divide_are_filled_up(base, digit_scenes):
    model = begun(base, replace(digit_scenes.spec, height=40, width=50)).eval()
    whole = begun(base, replace(digit_scenes.spec, height=64, width=64)).eval()
    whole.load_state_dict(model.state_dict())
    x = torch.rand(1, 1, 40, 50)
    filled = torch.zeros(1, 1, 64, 64)
    filled[..., :40, :50] = x
    with torch.no_grad():
        ours, theirs = model(x), whole(filled)
    torch.testing.assert_close(ours.boxes * torch.tensor([50, 40, 50, 40]), theirs.boxes * 64)
    torch.testing.assert_close(ours.logits, theirs.logits)


def test_it_learns_and_is_built_again_without_its_base(digit_scenes, tmp_path):
    folder = write_base(tmp_path / "base")
    overrides = {"epochs": 6, "batch_size": 16, "base": str(folder), "learning_rate": 3e-3, "ema_decay": 0.5}
    model, run = tiny.fitted("detr", digit_scenes, overrides=overrides)
    assert run.history[-1]["train_loss"] < run.history[0]["train_loss"]
    (tmp_path / "trained").mkdir()
    tiny.save(tmp_path / "trained", "detr", model.config, digit_scenes, model, run)
    for file in folder.iterdir():
        file.unlink()
    again = checkpoint.load(tmp_path / "trained").model
    x = unit(torch.from_numpy(np.array(digit_scenes.test.images[:2])))
    with torch.no_grad():
        torch.testing.assert_close(again.eval()(x).boxes, model.eval()(x).boxes, rtol=0, atol=0)


def test_what_is_frozen_stays(base, digit_scenes):
    start = begun(base, digit_scenes.spec).state_dict()
    settings = SHORT | {"base": str(base), "freeze": "backbone", "learning_rate": 0.01}
    _, run = tiny.fitted("detr", digit_scenes, overrides=settings)
    moved = {name for name, value in run.outcome.last.items() if not torch.equal(value, start[name])}
    assert not any(name.startswith("base.backbone.") for name in moved)
    assert any(name.startswith("base.decoder.layers.") for name in moved)


def test_it_is_a_graph_of_any_batch(base, digit_scenes, tmp_path):
    model = begun(base, digit_scenes.spec).eval()
    assert exported.compare("detr", model, digit_scenes, tmp_path) == set("127")


def test_it_tells_no_maps_of_attention(base, digit_scenes):
    assert detr.query_attention(begun(base, digit_scenes.spec).eval(), digit_scenes.test.images[:1]) is None


def test_a_detr_starts_from_a_detr(digit_scenes, tmp_path):
    small = SHORT | {"backbone": (8, 16), "width": 16, "hidden": 16, "heads": 2}
    model, run = tiny.fitted("detr", digit_scenes, overrides=small)
    tiny.save(tmp_path, "detr", model.config, digit_scenes, model, run)
    ours = begun(tmp_path, replace(digit_scenes.spec, classes=("a", "b")), **small).state_dict()
    theirs = model.state_dict()
    new = {name for name, value in ours.items() if not torch.equal(value, theirs[name])}
    assert new == {"classify.weight", "classify.bias", "decoder.classify.weight", "decoder.classify.bias"}


def other_kind(folder: Path) -> str:
    told = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(told | {"model_type": "detr"}))
    return r"config\.json: model_type: 'detr' .*'rt_detr'"


def with_learned_queries(folder: Path) -> str:
    told = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(told | {"learn_initial_query": True}))
    return r"config\.json: learn_initial_query"


def wider(folder: Path) -> str:
    told = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(told | {"decoder_ffn_dim": 24}))
    return (
        r"model\.safetensors: holds the weights of another .*: it has 'model\.decoder\.layers\.0\S*' of shape"
    )


def incomplete(folder: Path) -> str:
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.enc_output.0.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return r"model\.safetensors: holds .*: it has no 'model\.enc_output\.0\.weight'; 1 such"


def cut_short(folder: Path) -> str:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    return r"model\.safetensors: cannot be read as weights"


def without_weights(folder: Path) -> str:
    (folder / "model.safetensors").unlink()
    return "no weights there"


@pytest.mark.parametrize(
    "spoil", [other_kind, with_learned_queries, wider, incomplete, cut_short, without_weights]
)
def test_a_base_that_is_none_is_told_by_file_and_key(spoil, digit_scenes, tmp_path):
    told = spoil(write_base(tmp_path))
    with pytest.raises(UserError, match=told):
        begun(tmp_path, digit_scenes.spec)


def test_a_class_for_no_object_is_refused(base):
    with pytest.raises(UserError, match="classification: an RT-DETR has no class for 'no object'"):
        tiny.settings("detr", base=str(base), classification="cross_entropy")
