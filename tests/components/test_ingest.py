"""The ingest stage as the user runs it: a process of its own in a project of its own."""

import hashlib
import os

import numpy as np
import pandas as pd
import pytest

from components.datasets import manifest
from components.datasets.described import MAX_BYTES
from components.ingest import write as write_manifest
from data import spec
from tests.data.test_images import bomb
from tests.photo_folder import (
    command,
    darkroom_data,
    digest,
    encode,
    fill,
    photo,
    project,
    without_root_rights,
    write,
)

INGEST = "artifacts/data/mine/ingest"


@pytest.fixture
def photos(tmp_path):
    """Return a folder of 24 images of two classes that is the data set ``mine`` of the project beside it."""
    fill(tmp_path / "photos")
    add(tmp_path / "photos", project(tmp_path / "project"))
    return tmp_path / "photos"


def add(photos, root) -> None:
    darkroom_data(root, "add", str(photos), "--name", "mine", "--image-size", "32")


def ingest(photos, expect=0, preexec=None):
    return command(
        photos.parent / "project", "-m", "components.ingest", "mine", expect=expect, preexec=preexec
    )


def rows(photos) -> pd.DataFrame:
    return manifest.read(photos.parent / "project" / INGEST).set_index("id")


def test_a_row_per_image_and_its_bytes(photos):
    ingest(photos)
    found = rows(photos)
    assert (
        len(found) == 24
        and found["decodes"].all()
        and found["label"].value_counts().to_dict() == {"cat": 12, "dog": 12}
    )
    assert list(found.loc["cat/01.jpg", ["format", "mode", "width", "height"]]) == ["JPEG", "RGB", 50, 41]
    contents = list(manifest.Contents(photos.parent / "project" / INGEST))
    assert contents == [(photos / name).read_bytes() for name in found.index]
    assert [hashlib.sha256(content).hexdigest() for content in contents] == list(found["sha256"])


def test_the_same_folder_gives_the_same_bytes(photos):
    ingest(photos)
    first = {name: content for name, (content, _, _) in digest(photos.parent / "project" / INGEST).items()}
    ingest(photos)
    assert {
        name: content for name, (content, _, _) in digest(photos.parent / "project" / INGEST).items()
    } == first


def test_broken_files_become_rows_that_say_why(photos):
    write(photos / "cat/bomb.png", bomb())
    write(photos / "cat/cut.jpg", encode(photo(90), "JPEG")[:-300])
    write(photos / "cat/empty.png", b"")
    write(photos / "cat/text.png", b"not at all an image")
    write(photos / "cat/tiny.png", encode(photo(91, 1, 1)))
    write(photos / "cat/secret.png", encode(photo(92)))
    (photos / "cat/gone.png").symlink_to(photos / "nowhere.png")
    with (photos / "cat/huge.png").open("wb") as file:
        os.truncate(file.fileno(), MAX_BYTES + 1)
    (photos / "cat/secret.png").chmod(0)
    add(photos, photos.parent / "project")
    before = digest(photos)
    ingest(photos, preexec=without_root_rights)
    found = rows(photos)
    errors = found["error"].dropna().to_dict()
    assert errors.pop("cat/secret.png") == "cannot be read: Permission denied"
    assert errors.pop("cat/gone.png") == "cannot be read: No such file or directory"
    assert errors.pop("cat/bomb.png").startswith("decompression bomb")
    assert "truncated" in errors.pop("cat/cut.jpg")
    assert errors.pop("cat/empty.png") == "the file is empty"
    assert errors.pop("cat/text.png") == "not a JPEG, PNG or WebP image"
    assert errors.pop("cat/huge.png") == "larger than 256 MiB"
    assert not errors and found.loc["cat/tiny.png", "width"] == 1
    assert digest(photos) == before


def test_what_phones_write_is_jpeg_whatever_its_ending(tmp_path):
    pair = {"save_all": True, "append_images": [photo(9)]}
    for seed, name in enumerate(("1.mpo", "2.MPO", "3.jpg", "4.jpe", "5.JFIF")):
        form = "JPEG" if seed > 2 else "MPO"
        write(tmp_path / "photos/cat" / name, encode(photo(seed), form, **(pair if form == "MPO" else {})))
    (tmp_path / "ingest").mkdir()
    image = spec.ImageSpec(height=8, width=8, channels=3)
    settings = spec.DatasetSpec(source="imagefolder", folder=tmp_path / "photos", image=image)
    write_manifest("mine", settings, tmp_path / "ingest")
    found = manifest.read(tmp_path / "ingest")
    assert found["format"].tolist() == ["JPEG"] * 5 and found["decodes"].all()


def test_a_folder_that_changed_is_refused_and_the_change_is_named(photos):
    write(photos / "cat/new.png", encode(photo(99)))
    (photos / "dog/00.png").unlink()
    before = digest(photos)
    said = ingest(photos, expect=2).stderr
    assert "data/mine/dataset.yaml: listing" in said
    assert "1 added (first: cat/new.png); 1 removed (first: dog/00.png)" in said
    assert f"darkroom data add {photos} --name mine" in said
    assert digest(photos) == before


def test_a_misspelt_key_is_named(photos):
    path = photos.parent / "project/data/mine/dataset.yaml"
    path.write_text(path.read_text().replace("splits:", "split:"))
    said = ingest(photos, expect=2).stderr
    assert "data/mine/dataset.yaml: split: unknown key. Did you mean 'splits'?" in said


def test_digits_are_scikit_learns(tmp_path):
    from sklearn.datasets import load_digits

    root = project(tmp_path / "project")
    write(
        root / "data/digits/dataset.yaml",
        b"source: packaged\nimage: {height: 8, width: 8, channels: 1, levels: 17}\n",
    )
    command(root, "-m", "components.ingest", "digits")
    folder = root / "artifacts/data/digits/ingest"
    found, expected = manifest.read(folder), load_digits()
    assert list(found["label"]) == [str(label) for label in expected.target]
    pixels = np.frombuffer(b"".join(manifest.Contents(folder)), np.uint8)
    np.testing.assert_array_equal(np.rint(pixels.reshape(-1, 8, 8) / 255 * 16), expected.images)


def test_ingest_imports_little(photos):
    done = command(photos.parent / "project", "-X", "importtime", "-m", "components.ingest", "mine")
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "PIL.Image" in loaded and not loaded & {
        "torch",
        "torchvision",
        "pandas",
        "great_expectations",
        "sklearn",
        "mlflow",
    }
