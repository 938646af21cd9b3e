"""The head model: landmarks as spots, who is told by the shots, which shots are shown, and fine-tuning."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from data.errors import UserError
from models.head import Config, build, graph, personalise
from models.head.network import AdaptiveNorm, spots
from models.head.shots import Shots
from tests.models import tiny

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(faces):
    return tiny.fitted("head", faces, overrides={"epochs": 1, "least_steps": 60})[0]


def _draw(model, landmarks: np.ndarray, shots: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return graph(model)(torch.tensor(landmarks), torch.tensor(shots)).numpy().astype(float)


def _own_shots(split) -> np.ndarray:
    """Return uint8 [N, 7, H, W, C]: the seven other pictures of each of eight frames a person."""
    turn = (np.arange(8)[:, None] + np.arange(1, 8)) % 8
    return split.images[(np.arange(len(split)) // 8 * 8)[:, None] + np.tile(turn, (len(split) // 8, 1))]


def test_faces_of_people_nobody_trained_on_beat_the_mean_face(model, faces):
    test = faces.test
    error = np.abs(_draw(model, test.landmarks, _own_shots(test)) - test.images).mean()
    assert error < 0.8 * np.abs(faces.train.images.mean(axis=0) - test.images).mean()


def test_the_shots_tell_who(model, faces):
    test = faces.test
    shots = _own_shots(test)
    own = np.abs(_draw(model, test.landmarks, shots) - test.images).mean()
    others = np.abs(_draw(model, test.landmarks, np.roll(shots, 8, axis=0)) - test.images).mean()
    assert others > 1.1 * own


def test_the_order_of_shots_does_not_matter_and_a_repeated_one_is_one(model, faces):
    landmarks, shots = faces.test.landmarks[:3], _own_shots(faces.test)[:3]
    base = _draw(model, landmarks, shots)
    assert np.abs(_draw(model, landmarks, shots[:, ::-1].copy()) - base).max() <= 1
    once = _draw(model, landmarks, shots[:, :1])
    assert np.abs(_draw(model, landmarks, shots[:, [0, 0, 0]]) - once).max() <= 1


def test_a_spot_is_brightest_at_its_landmark_and_of_the_given_width():
    landmarks = torch.tensor([[[0.25, 0.75], [0.53125, 0.03125]]])
    painted = spots(landmarks, (16, 32), sharpness=0.1)
    assert painted.shape == (1, 2, 16, 32)
    for point, spot in zip(landmarks[0], painted[0], strict=True):
        row, column = divmod(int(spot.argmax()), 32)
        assert abs((column + 0.5) / 32 - point[0]) <= 1 / 32 and abs((row + 0.5) / 16 - point[1]) <= 1 / 16
    # One standard deviation to the right, and one down: exp(-1).
    at = spots(torch.tensor([[[0.5 / 32 - 0.1, 0.5 / 16 - 0.1]]]), (16, 32), sharpness=0.1)[0, 0, 0, 0]
    assert float(at) == pytest.approx(np.exp(-1))


def test_adaptive_normalisation_equals_torch_s_instance_norm():
    torch.manual_seed(0)
    norm, x, who = AdaptiveNorm(6, 5), torch.randn(3, 6, 4, 7), torch.randn(3, 5)
    scale, shift = norm.style(who).chunk(2, dim=1)
    plain = torch.nn.functional.instance_norm(x)
    expected = (1 + scale)[..., None, None] * plain + shift[..., None, None]
    torch.testing.assert_close(norm(x, who), expected, atol=1e-5, rtol=1e-4)


def test_shots_are_other_pictures_of_the_same_person(faces):
    split = faces.train
    mixed = np.random.default_rng(0).permutation(len(split))  # people need not lie side by side
    numbered = np.zeros_like(split.images)
    numbered[..., 0] = np.arange(len(split))[:, None, None]
    shuffled = replace(split, images=numbered, identities=split.identities[mixed])
    places = torch.arange(len(split)).repeat(20)
    drawn = Shots(shuffled, CPU).draw(places, 5, torch.Generator().manual_seed(0))
    assert drawn.shape == (len(places), 5, 3, 16, 16)
    shown = (drawn[:, :, 0, 0, 0] * 255).round().long().numpy()
    assert (shuffled.identities[shown] == shuffled.identities[places][:, None]).all()
    assert (shown != places.numpy()[:, None]).all()
    # Each of the seven others comes up.
    assert all(len(set(shown[places.numpy() == place].ravel())) == 7 for place in range(10))


def test_who_has_one_picture_is_shown_it(faces):
    alone = replace(faces.train, identities=np.arange(len(faces.train)))
    places = torch.arange(4)
    drawn = Shots(alone, CPU).draw(places, 2, torch.Generator().manual_seed(0))
    expected = torch.as_tensor(faces.train.images[:4]).permute(0, 3, 1, 2) / 255
    torch.testing.assert_close(drawn[:, 0], expected)


def test_fine_tuning_comes_nearer_to_the_shots_and_leaves_the_model_as_it_was(model, faces):
    before = {key: value.clone() for key, value in model.state_dict().items()}
    shown, landmarks = faces.test.images[:4], faces.test.landmarks[:4]
    general = np.abs(_draw(model, landmarks, np.broadcast_to(shown, (4, *shown.shape)).copy()) - shown).mean()
    once, again = (personalise(model, landmarks, shown) for _ in range(2))
    with torch.no_grad():
        personal = once(torch.tensor(landmarks)).numpy()
        np.testing.assert_array_equal(again(torch.tensor(landmarks)).numpy(), personal)
    assert np.abs(personal.astype(float) - shown).mean() < 0.9 * general
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("preset", ["quick", "full"])
@pytest.mark.parametrize("shape", [(8, 8), (33, 20)])
def test_pictures_of_any_size(faces, preset, shape):
    spec = replace(faces.spec, height=shape[0], width=shape[1])
    model = build(getattr(Config, preset)(), spec)
    shots = np.zeros((2, 3, *shape, 3), np.uint8)
    assert _draw(model, faces.test.landmarks[:2], shots).shape == (2, *shape, 3)


def test_pictures_too_small_are_refused(faces):
    with pytest.raises(UserError, match=r"data/faces/dataset.yaml: image: 7 x 16: .* 8 pixels"):
        build(Config.quick(), replace(faces.spec, height=7))
