"""The prepare stage on a small folder of images; validate's verdict is written by hand, to save time."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from components import ingest, prepare
from components.datasets import manifest, parts
from components.project import layout
from data import atomic
from data.errors import UserError
from data.prepared import SPLITS, PreparedData
from tests.photo_folder import command, digest, fill, project

DATASET = """\
source: imagefolder
folder: {folder}
listing: x
image: {{height: 16, width: 20, channels: 3, levels: 256}}
splits: {{by: class, validation: 0.25, test: 0.25}}
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Return a project whose data set ``mine`` of 24 images is ingested and has passed its validation."""
    fill(tmp_path / "photos")
    root = project(tmp_path / "project")
    monkeypatch.chdir(root)
    (root / "data/mine").mkdir()
    (root / "data/mine/dataset.yaml").write_text(DATASET.format(folder=tmp_path / "photos"))
    for name in ("check", "confirm"):
        monkeypatch.setattr(ingest.listing, name, lambda dataset, settings: None)
    passed(ingest.run("mine"))
    return root


def passed(ingested) -> None:
    verdict = {"success": True, "manifest": manifest.fingerprint(ingested)}
    atomic.write_json(ingested.parent / "validation.json", verdict)


def test_tensors_hold_every_image_once_in_its_split(root, tmp_path):
    data = PreparedData(prepare.run("mine"))
    assert {name: len(getattr(data, name)) for name in SPLITS} == {"train": 12, "validation": 6, "test": 6}
    assert data.spec.classes == ("cat", "dog") and data.spec.shape == (16, 20, 3)
    ids = [id for name in SPLITS for id in getattr(data, name).ids]
    assert len(set(ids)) == 24
    for name in SPLITS:
        split = getattr(data, name)
        for image, label, id in zip(split.images, split.labels, split.ids, strict=True):
            expected = Image.open(tmp_path / "photos" / id).resize((20, 16), Image.Resampling.BILINEAR)
            np.testing.assert_array_equal(image, np.asarray(expected))
            assert data.spec.classes[label] == id.split("/")[0]


def test_mean_and_deviation_are_of_the_train_split(root):
    data = PreparedData(prepare.run("mine"))
    scaled = data.train.images[:] / 255
    np.testing.assert_allclose(data.spec.mean, scaled.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(data.spec.std, scaled.std(axis=(0, 1, 2)), rtol=1e-9)


def test_a_fresh_process_writes_the_same_bytes_and_imports_little(root):
    settings = root / "data/mine/dataset.yaml"
    settings.write_text(settings.read_text().replace("by: class, ", ""))
    prepare.run("mine")
    first = {name: values[0] for name, values in digest(root / "artifacts/data/mine/prepared").items()}
    done = command(root, "-X", "importtime", "-m", "components.prepare", "mine")
    assert {
        name: values[0] for name, values in digest(root / "artifacts/data/mine/prepared").items()
    } == first
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "pyarrow" in loaded and not loaded & {"torch", "pandas", "great_expectations", "sklearn", "mlflow"}


def test_parts_do_not_change_what_is_read_or_its_hash(root, monkeypatch):
    whole = PreparedData(prepare.run("mine"))
    images, labels, sha256 = whole.train.images[:], whole.train.labels.copy(), whole.spec.sha256
    assert len(list((whole.folder / "pixels").iterdir())) == 1
    monkeypatch.setattr(parts, "MEAN_ROWS", 4)
    shutil.rmtree(layout.ingest_memo("mine"))
    passed(ingest.run("mine"))
    divided = PreparedData(prepare.run("mine"))
    assert len(list((divided.folder / "pixels").iterdir())) > 2
    np.testing.assert_array_equal(divided.train.images, images)
    np.testing.assert_array_equal(divided.train.labels, labels)
    assert divided.spec.sha256 == sha256


def test_a_file_is_the_one_that_safetensors_writes(root, tmp_path):
    for file in prepare.run("mine").rglob("*.safetensors"):
        save_file(load_file(file), tmp_path / "theirs")
        assert file.read_bytes() == (tmp_path / "theirs").read_bytes()


def test_writing_to_the_arrays_never_reaches_the_file(root):
    folder = prepare.run("mine")
    before = digest(folder)
    data = PreparedData(folder)
    data.train.images[:][:] = 0
    data.train.labels[:] = 0
    assert digest(folder) == before


def test_without_a_validation_nothing_is_prepared(root):
    (root / "artifacts/data/mine/validation.json").unlink()
    with pytest.raises(UserError, match=r"validation\.json: not found.*components\.validate mine"):
        prepare.run("mine")
    assert not (root / "artifacts/data/mine/prepared").exists()


def test_a_validation_of_other_data_does_not_count(root, tmp_path):
    (tmp_path / "photos/cat/00.png").unlink()
    ingest.run("mine")
    with pytest.raises(UserError, match="is about the manifest"):
        prepare.run("mine")


def test_damaged_bytes_are_noticed(root):
    (shard,) = (root / "artifacts/data/mine/ingest/images").iterdir()
    content = bytearray(shard.read_bytes())
    content[-9] ^= 1
    shard.write_bytes(content)
    shutil.rmtree(layout.early_picture_memo("mine"))  # else nothing of the shard is looked at
    with pytest.raises(UserError, match=r"images: the bytes of \w+/\d+\.\w+ are not those of the manifest"):
        prepare.run("mine")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("levels: 256", "levels: 17", "image.levels: 17"),
        ("source:", "classes: [cat, dgo]\nsource:", "lacks the label 'dog'. Did you mean 'dgo'"),
        ("test: 0.25", "test: 0", "no example is left for the test split"),
    ],
)
def test_settings_that_do_not_fit_are_named(root, old, new, says):
    path = root / "data/mine/dataset.yaml"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        prepare.run("mine")
    assert "data/mine/dataset.yaml" in str(caught.value) and says in str(caught.value)
    assert not (root / "artifacts/data/mine/prepared").exists()


def test_a_ground_is_kept_where_it_is_not_white(root):
    path = root / "data/mine/dataset.yaml"
    plain, pictures = PreparedData(prepare.run("mine")), path.read_text()
    assert "ground" not in json.loads((plain.folder / "spec.json").read_text())
    for ground, kept in (("[255, 255, 255]", None), ("[0, 9, 255]", (0, 9, 255))):
        path.write_text(pictures.replace("levels: 256", f"levels: 256, ground: {ground}"))
        found = PreparedData(prepare.run("mine")).spec
        assert found.ground == kept and (found == plain.spec) == (kept is None)
        assert (found.sha256 == plain.spec.sha256) == (kept is None)
