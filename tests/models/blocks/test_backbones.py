"""Networks that others have trained: real EfficientNet-Lite0 on real photographs, torchvision's by their own files."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import get_model

import models
from data.errors import UserError
from data.frames import Frame
from data.sources import tuxpaint
from models.blocks import backbones, fine_tuning, weight_files
from models.blocks.pixels import unit
from models.settings import configure
from tests import needs
from tests.models import tiny
from tests.models.weights import lite0_weights

TIGER, STRAWBERRY, DUCK = 292, 949, 97
"""Places of classes among ImageNet's 1,000."""


def test_efficientnet_lite0_knows_what_photographs_show():
    weights = weight_files.read([lite0_weights()])
    if not tuxpaint.DEBIAN_FOLDER.is_dir():
        needs.missing(f"the stamps: apt-get install {tuxpaint.PACKAGE}")
    backbone = backbones.Backbone(backbones.LITE0).eval()
    fine_tuning.fit_in(backbone.network, weights, "tests", backbone.head)
    names = {
        "animals/mammals/cats/tiger_sumatran.png": TIGER,
        "food/fruit/Strawberry2.png": STRAWBERRY,
        "animals/birds/duck.png": DUCK,
    }
    pictures = [
        Frame(height=224, width=224, channels=3).read((tuxpaint.DEBIAN_FOLDER / name).read_bytes())[0]
        for name in names
    ]
    with torch.inference_mode():
        features = backbone(unit(torch.from_numpy(np.stack(pictures))))
        logits = features @ weights["_fc.weight"].T + weights["_fc.bias"]
    assert features.shape == (3, backbone.width)
    assert logits.argmax(dim=1).tolist() == list(names.values())


@pytest.mark.parametrize(("height", "width"), [(96, 96), (33, 50)])
def test_efficientnet_lite0_reads_pictures_of_any_size(height, width):
    backbone = backbones.Backbone(backbones.LITE0).eval()
    with torch.inference_mode():
        assert backbone(torch.rand(2, 3, height, width)).shape == (2, 1280)
        assert backbone(torch.rand(2, 1, height, width)).shape == (2, 1280)  # grey is repeated


@pytest.mark.parametrize(
    ("name", "head", "width"), [("resnet18", "fc", 512), ("mobilenet_v3_small", "classifier.3", 1024)]
)
def test_weights_of_torchvision_fit_and_give_its_features(tmp_path, name, head, width):
    torch.manual_seed(1)
    theirs = get_model(name, weights=None).eval()
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    backbone = backbones.Backbone(name).eval()
    assert (backbone.head, backbone.width) == (head, width)
    tensors = weight_files.read(weight_files.in_folder(tmp_path))
    fine_tuning.fit_in(backbone.network, tensors, "tests", backbone.head)
    x = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        logits = theirs.get_submodule(head)(backbone(x))
        torch.testing.assert_close(logits, theirs((x - backbone.mean) / backbone.std))


def test_weights_of_another_backbone_are_refused():
    backbone = backbones.Backbone("resnet18")
    tensors = get_model("resnet34", weights=None).state_dict()
    with pytest.raises(
        UserError, match=r"^w: holds the weights of another architecture: it has 'layer1\.2\.conv1"
    ):
        fine_tuning.fit_in(backbone.network, tensors, "w", backbone.head)


def test_a_name_that_is_none_is_told_with_the_nearest():
    config = models.family("cnn").Config
    where = "params.yaml: models.m.overrides"
    with pytest.raises(
        UserError, match=rf"{where}\.backbone: .*no backbone 'resnet19'.* Did you mean 'resnet18'"
    ):
        configure(config, "quick", {"backbone": "resnet19"}, where)
    assert (
        configure(config, "quick", {"backbone": "efficientnet_lite0"}, where).backbone == "efficientnet_lite0"
    )


def test_a_cnn_on_a_backbone_learns_and_is_a_graph(digits):
    config = {"backbone": "efficientnet_lite0", "epochs": 1, "least_steps": 1, "batch_size": 64, "shots": 3}
    model, run = tiny.fitted("cnn", digits, overrides=config)
    answers = models.family("cnn").graph(model)(torch.as_tensor(digits.test.images[:2]))
    assert answers.shape == (2, 10) and torch.allclose(answers.sum(dim=1), torch.ones(2))
    assert run.outcome.steps == 1
