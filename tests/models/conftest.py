from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import models
from data.prepared import PreparedData
from tests.models import hf_bases, tiny


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> PreparedData:
    """240 real digits to train on, 80 to validate, 80 to test."""
    return tiny.prepare(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="session", autouse=True)
def offline():
    """What a machine without a network has."""
    from huggingface_hub import constants

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        yield


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    """A base of other classes, on three channels and larger images than ours."""
    return hf_bases.write_base(tmp_path_factory.mktemp("bases") / "letters", ("a", "b", "c"))


@pytest.fixture(scope="session")
def digit_edges(tmp_path_factory) -> PreparedData:
    """The same digits, each with its edge map as the image to translate."""
    return tiny.prepare(tmp_path_factory.mktemp("digit_edges"), task="translation")


@pytest.fixture(scope="session")
def digit_lines(tmp_path_factory) -> PreparedData:
    """Lines of two to four digits, and what is written in them."""
    return tiny.prepare_lines(tmp_path_factory.mktemp("digit_lines"))


@pytest.fixture(scope="session")
def digit_captions(tmp_path_factory) -> PreparedData:
    """The same digits in colours, and captions that name colours and digit."""
    return tiny.prepare_captions(tmp_path_factory.mktemp("digit_captions"))


@pytest.fixture(scope="session")
def digit_negatives(tmp_path_factory, digit_captions) -> PreparedData:
    """Digits in colours, every other one inverted; beside them, in ``base``, a model of the plain ones."""
    data = tiny.prepare_captions(tmp_path_factory.mktemp("digit_negatives"), inverted=True)
    (data.folder / "base").mkdir()
    fitted = tiny.fitted("text_to_image", digit_captions)
    tiny.save(data.folder / "base", "text_to_image", tiny.settings("text_to_image"), digit_captions, *fitted)
    return data


@pytest.fixture(scope="session")
def digit_sketches(tmp_path_factory, digit_negatives) -> PreparedData:
    """Digits in colours, each with its edge map; beside them the same ``base``."""
    data = tiny.prepare_captions(tmp_path_factory.mktemp("digit_sketches"), sketched=True)
    shutil.copytree(digit_negatives.folder / "base", data.folder / "base")
    return data


@pytest.fixture(scope="session")
def faces(tmp_path_factory) -> PreparedData:
    """Drawn faces of 16 x 16 pixels: 12 people to train on, 4 to validate, 4 to test."""
    return tiny.prepare_faces(tmp_path_factory.mktemp("faces"))


@pytest.fixture(scope="session")
def digit_scenes(tmp_path_factory) -> PreparedData:
    """Scenes of 32 x 32 pixels, of other digits in each split: 96 to train on, 24 to validate, 24 to test."""
    return tiny.prepare_scenes(tmp_path_factory.mktemp("digit_scenes"))


@pytest.fixture(scope="session")
def suitable(request) -> Callable[[str], PreparedData]:
    """Give a function from a family to data for its task, prepared when the first test asks."""
    special = {
        "translation": "digit_edges",
        "reenactment": "faces",
        "detection": "digit_scenes",
        "segmentation": "digit_scenes",
        "transcription": "digit_lines",
        "text_to_image": "digit_captions",
    }
    fine_tuned = {"text_to_image": "digit_negatives", "controlled_generation": "digit_sketches"}

    def prepared(family: str) -> PreparedData:
        module = models.family(family)
        fixtures = fine_tuned if hasattr(module, "BASE") else special
        return request.getfixturevalue(fixtures.get(module.TASK, "digits"))

    return prepared
