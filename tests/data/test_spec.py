import pytest

from data import spec
from data.errors import UserError

GOOD = "source: packaged\nimage: {height: 8, width: 8, channels: 1, levels: 17}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD.replace("source", "sorce"), "sorce: unknown key. Did you mean 'source'?"),
        (GOOD.replace("levels", "level"), "image.level: unknown key. Did you mean 'levels'?"),
        (GOOD + "splits: {validaton: 0.1}", "splits.validaton: unknown key. Did you mean 'validation'?"),
        (GOOD + "lines: {shortst: 1}", "lines.shortst: unknown key. Did you mean 'shortest'?"),
        (GOOD + "captions: {tinted: {ink: {}}}", "captions.tinted.ink: unknown key. Did you mean 'inks'?"),
        (GOOD + "captions: {}", "source packaged has no captions"),
        (
            GOOD.replace("packaged", "imagefolder") + "folder: x\ncaptions: {}\ninput_channels: 1",
            "input_channels and captions: data is for detection",
        ),
        (GOOD + "splits: {validation: 0.6, test: 0.5}", "nothing is left to train on"),
        (GOOD.replace("packaged", "packagd"), "'packagd'"),
        (GOOD.replace("packaged", "imagefolder"), "needs a folder"),
        (GOOD.replace("channels: 1", "channels: 2"), "image.channels"),
        ("source: packaged", "image: is missing"),
        (GOOD.replace("packaged", "derived"), "needs 'from'"),
        (GOOD.replace("packaged", "derived") + "from: digits\nrecipe: edges", "input_channels: 1"),
        (GOOD.replace("packaged", "derived") + "form: digits", "Did you mean 'from'?"),
        ("source: [", "not valid YAML"),
        ("", "the file"),
    ],
)
def test_a_mistake_names_file_key_and_nearest(tmp_path, text, says):
    path = tmp_path / "dataset.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        spec.load(path)
    assert str(path) in str(caught.value) and says in str(caught.value)


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(UserError, match="darkroom data add"):
        spec.load(tmp_path / "mine" / "dataset.yaml")


def test_defaults(tmp_path):
    path = tmp_path / "dataset.yaml"
    path.write_text(GOOD)
    loaded = spec.load(path)
    assert (loaded.splits.validation, loaded.splits.test, loaded.image.levels) == (0.15, 0.15, 17)
