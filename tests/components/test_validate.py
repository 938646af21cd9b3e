"""The validate stage as the user runs it: every fault is found and named, and stops the pipeline."""

import json
import re

import pytest

from components.datasets import manifest
from components.validate import run
from data.errors import UserError
from tests.data.test_images import bomb
from tests.photo_folder import (
    command,
    darkroom_data,
    digest,
    encode,
    photo,
    project,
    without_root_rights,
    write,
)

VERDICT = "artifacts/data/mine/validation.json"
FAILED = ".darkroom/validation/mine.json"


def make(folder, faults=None, preexec=None):
    """Make a project with a folder of split images, infer its suite, then put ``faults`` into it."""
    photos, root = folder / "photos", project(folder / "project")
    seed = 0
    for split, count in (("train", 6), ("validation", 2), ("test", 2)):
        for label in ("cat", "dog", "fox"):
            for index in range(count):
                seed += 1
                write(photos / split / label / f"{index}.png", encode(photo(seed, 64, 80)))
    darkroom_data(root, "add", str(photos), "--name", "mine", "--image-size", "32")
    darkroom_data(root, "infer", "mine")
    if faults:
        faults(photos)
        darkroom_data(root, "add", str(photos), "--name", "mine")
    command(root, "-m", "components.ingest", "mine", preexec=preexec)
    return photos, root


def validate(root, expect=0) -> str:
    return command(root, "-m", "components.validate", "mine", expect=expect).stderr


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Return the folder and the project of images without a fault, validated."""
    photos, root = make(tmp_path_factory.mktemp("sound"))
    validate(root)
    return photos, root


def put_faults(photos) -> None:
    write(photos / "train/cat/cut.jpg", encode(photo(90), "JPEG")[:-300])
    write(photos / "train/cat/empty.png", b"")
    write(photos / "train/cat/text.png", b"not at all an image")
    write(photos / "train/cat/bomb.png", bomb())
    write(photos / "train/cat/tiny.png", encode(photo(91, 1, 1)))
    write(photos / "train/cat/secret.png", encode(photo(92)))
    (photos / "train/cat/secret.png").chmod(0)
    write(photos / "train/unlabelled.png", encode(photo(93, 64, 80)))
    write(photos / "test/cat/leak.png", (photos / "train/cat/0.png").read_bytes())
    write(photos / "train/dog/copy.png", (photos / "train/dog/0.png").read_bytes())
    write(photos / "test/dog/resaved.jpg", encode(photo(7, 64, 80), "JPEG", quality=85))
    for index in range(2):
        (photos / f"test/fox/{index}.png").unlink()
    for index in range(40):
        write(photos / f"train/wolf/{index}.png", encode(photo(200 + index, 64, 80).point(lambda v: v // 8)))


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """Return the folder and the project of images with every fault, and what validate says of them."""
    photos, root = make(tmp_path_factory.mktemp("faulty"), put_faults, without_root_rights)
    before = digest(photos)
    said = validate(root, expect=2)
    assert digest(photos) == before
    return photos, root, said


@pytest.mark.parametrize(
    ("says", "names"),
    [
        ("every file can be read and decoded", "train/cat/cut.jpg"),
        ("every file can be read and decoded", "train/cat/empty.png"),
        ("every file can be read and decoded", "train/cat/text.png"),
        ("every file can be read and decoded", "train/cat/bomb.png"),
        ("every file can be read and decoded", "train/cat/secret.png"),
        ("no image is too small", "train/cat/tiny.png"),
        ("every example has a label", "train/unlabelled.png"),
        ("no two examples have the same content", "train/dog/copy.png"),
        ("no content is in two splits", "test/cat/leak.png"),
        ("no content is in two splits", "train/cat/0.png"),
        ("no picture is in two splits", "test/dog/resaved.jpg"),
        ("every class has at least 1 in test", "fox"),
        ("no class's share has moved", "wolf"),
        ("no column's distribution has moved", "brightness"),
        ("expect_column_values_to_be_in_set(column='label'", "train/wolf/0.png (wolf)"),
    ],
)
def test_a_fault_is_named_with_its_expectation(faulty, says, names):
    _, _, said = faulty
    paragraphs = re.split(r"\n  (?! )", said)
    assert any(says in paragraph and names in paragraph for paragraph in paragraphs), said


def test_why_a_file_cannot_be_used_is_said(faulty):
    _, _, said = faulty
    assert "train/cat/empty.png (the file is empty)" in said
    assert "train/cat/secret.png (cannot be read: Permission denied)" in said


def test_a_failed_validation_leaves_its_verdict_and_docs_but_no_pass(faulty):
    _, root, said = faulty
    assert not (root / VERDICT).exists()
    verdict = json.loads((root / FAILED).read_text())
    assert verdict["success"] is False and sum(not one["success"] for one in verdict["expectations"]) >= 9
    assert "artifacts/data/mine/docs/index.html" in said
    index = (root / "artifacts/data/mine/docs/index.html").read_text()
    row = next(line for line in index.splitlines() if "mine-examples" in line)
    assert "does not hold" in row


def test_docs_are_whole_without_a_network(faulty):
    _, root, _ = faulty
    docs = root / "artifacts/data/mine/docs"
    pages = list(docs.rglob("*.html"))
    assert len(pages) >= 3
    for page in pages:
        text = page.read_text()
        loaded = re.findall(r"<(?:link|script|img)\b[^>]*?\b(?:href|src)=\"([^\"]*)\"", text)
        assert not [place for place in loaded + re.findall(r"url\(['\"]?([^)'\"]*)", text) if "//" in place]
        missing = [place for place in loaded if not (page.parent / place).exists()]
        assert loaded and not missing, page
    links = re.findall(r"<a href=\"([^\"]*)\"", (docs / "index.html").read_text())
    assert links and all((docs / link).is_file() for link in links)


def test_a_sound_data_set_passes_with_the_same_bytes_each_time(sound):
    _, root = sound
    first = (root / VERDICT).read_bytes()
    verdict = json.loads(first)
    assert verdict["success"] and verdict["manifest"] == manifest.fingerprint(
        root / "artifacts/data/mine/ingest"
    )
    assert (root / "artifacts/data/mine/docs/index.html").exists() and not (root / FAILED).exists()
    assert str(root).encode() not in first
    validate(root)
    assert (root / VERDICT).read_bytes() == first


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("values_to_be_in_set", "values_to_be_in_sett", "Did you mean 'expect_column_values_to_be_in_set'"),
        ("column: label", "colum: label", "expectations.0.colum: "),
        ("column: label", "column: labels", "no column 'labels'. Did you mean 'label'?"),
        ("minimum_side", "minimum_sde", "general.minimum_sde: unknown key. Did you mean 'minimum_side'?"),
        ("minimum_side: 8", "minimum_side: eight", "general.minimum_side"),
        ("- type: expect_column_values", "- tipe: expect_column_values", "expectations.0"),
    ],
)
def test_a_mistake_in_the_suite_is_named(sound, monkeypatch, old, new, says):
    _, root = sound
    monkeypatch.chdir(root)
    path = root / "data/mine/suite.yaml"
    good = path.read_text()
    assert old in good
    path.write_text(good.replace(old, new, 1))
    try:
        with pytest.raises(UserError) as caught:
            run("mine")
    finally:
        path.write_text(good)
    assert "data/mine/suite.yaml" in str(caught.value) and says in str(caught.value)


def test_without_a_suite_the_message_says_how_to_infer_one(sound, monkeypatch):
    _, root = sound
    monkeypatch.chdir(root)
    path = root / "data/mine/suite.yaml"
    aside = path.rename(path.with_suffix(".aside"))
    try:
        with pytest.raises(UserError, match="darkroom data infer mine"):
            run("mine")
    finally:
        aside.rename(path)
