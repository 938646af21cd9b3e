"""Maps of backbones: what the network itself computes on its way to its features, at each size."""

import pytest
import torch

import models
from data.errors import UserError
from models.blocks.backbones import Backbone
from models.blocks.pyramid import Pyramid
from models.settings import configure


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("efficientnet_lite0", (16, 24, 40, 112, 1280)),
        ("resnet18", (64, 64, 128, 256, 512)),
        ("mobilenet_v3_small", (16, 16, 24, 48, 576)),
        ("regnet_y_400mf", (32, 48, 104, 208, 440)),
        ("shufflenet_v2_x0_5", (24, 24, 48, 96, 1024)),
        ("mnasnet0_5", (8, 16, 24, 48, 1280)),
    ],
)
def test_the_last_map_is_what_the_features_are_the_mean_of(name, widths):
    torch.manual_seed(0)
    whole, pyramid = Backbone(name).eval(), Pyramid(name).eval()
    pyramid.load_state_dict(whole.state_dict())
    x = torch.rand(2, 1, 64, 96)
    with torch.no_grad():
        maps = pyramid(x)
        features = whole(x)
    assert pyramid.widths == widths
    assert [tuple(m.shape[2:]) for m in maps] == [(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)]
    mean = maps[-1].mean(dim=(2, 3))
    if name == "mobilenet_v3_small":  # it has a linear layer between
        mean = whole.network.classifier[:3](mean)
    torch.testing.assert_close(mean, features)


def test_sides_that_32_does_not_divide_are_filled_up():
    pyramid = Pyramid("efficientnet_lite0").eval()
    with torch.no_grad():
        maps = pyramid(torch.rand(1, 3, 33, 50))
        filled = pyramid.mean.expand(1, 3, 64, 64).clone()
        x = torch.rand(1, 3, 33, 50)
        filled[..., :33, :50] = x
        for ours, whole in zip(pyramid(x), pyramid(filled), strict=True):
            torch.testing.assert_close(ours, whole)
    assert maps[0].shape[2:] == (32, 32)


@pytest.mark.parametrize(
    ("name", "halvings"), [("convnext_tiny", (2, 3, 4, 5)), ("densenet121", (1, 2, 3, 4, 5))]
)
def test_maps_are_where_a_network_halves(name, halvings):
    with torch.device("meta"):
        pyramid = Pyramid(name)
        maps = pyramid(torch.rand(1, 3, 64, 64))
    assert pyramid.halvings == halvings
    assert [m.shape[-1] for m in maps] == [64 >> times for times in halvings]
    assert tuple(m.shape[1] for m in maps) == pyramid.widths


@pytest.mark.parametrize(("name", "told"), [("swin_t", "has no maps"), ("resnet19", "'resnet18'")])
def test_a_name_without_maps_is_told(name, told):
    config = models.family("segmenter").Config
    with pytest.raises(UserError, match=rf"params\.yaml: m\.backbone: .*{told}"):
        configure(config, "quick", {"backbone": name}, "params.yaml: m")
