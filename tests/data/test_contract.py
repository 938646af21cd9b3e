"""What every data set of ``data/`` keeps to: each is ingested, validated and prepared for real."""

import contextlib
import functools
import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from components import ingest, prepare, validate
from components.datasets import manifest
from components.project import lineage
from components.validation import suite
from data import captions, spec
from data.prepared import NO_OBJECT, SPLITS, UNCOUNTED, PreparedData
from data.sources import torchvision, tuxpaint
from data.text import END, spell
from tests import needs

ROOT = Path(__file__).resolve().parents[2]
DATASETS = sorted(path.parent.name for path in ROOT.glob("data/*/dataset.yaml"))
DERIVED = [name for name in DATASETS if spec.load(ROOT / "data" / name / "dataset.yaml").parent]
LARGE = ("fashion_captions", "fashion_edges", "fashion_lines", "fashion_scenes", "stamp_scenes")
"""Half a minute and more each; digits by the same recipes and a few photographs are drawn in every run of the tests."""
PEOPLE = ("stamp_captions",)
"""Captions that people wrote: those outside of train hold words that train lacks, which are left out."""


def _marked(names: list[str]) -> list[object]:
    return [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in names]


def is_here(name: str) -> bool:
    """Tell whether the data are there without a network."""
    settings = spec.load(ROOT / "data" / name / "dataset.yaml")
    if settings.source == "imagefolder":
        return settings.folder.is_dir()
    if settings.source == "derived":
        return is_here(settings.parent)
    if settings.source == "tuxpaint":
        return tuxpaint.DEBIAN_FOLDER.is_dir()
    folders = [settings.folder, os.environ.get(torchvision.ENVIRONMENT), torchvision.DEBIAN_FOLDER]
    return settings.source in ("packaged", "heads") or any(
        f and not torchvision._missing(Path(f)) for f in folders
    )


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """Give the working copy of the project, and what runs the three stages of a data set in it: of each only once."""
    root = tmp_path_factory.mktemp("workshop")
    (root / "data").symlink_to(ROOT / "data")

    @functools.cache
    def make(name: str) -> None:
        ingest.run(name)
        validate.run(name)
        prepare.run(name)

    return root, make


@pytest.fixture(scope="module", params=_marked(DATASETS))
def dataset(request, workshop):
    """Run the three stages of a data set in a copy of the project; return its name and what was prepared."""
    name = request.param
    needs.only_where(is_here(name), f"the files of {name} are not on this machine")
    root, make = workshop
    with contextlib.chdir(root):
        for needed in lineage.entries(name):
            make(needed)
        folder = Path("artifacts/data") / name
        yield name, PreparedData(folder / "prepared"), manifest.read(folder / "ingest")


def test_every_data_set_of_params_has_its_files():
    named = yaml.safe_load((ROOT / "params.yaml").read_text())["datasets"]
    assert set(named) <= set(DATASETS)
    with contextlib.chdir(ROOT):
        lineage.check(named)
    for name in DATASETS:
        assert suite.load(ROOT / "data" / name / "suite.yaml").reference


def test_the_manifest_describes_every_example(dataset):
    _, _, rows = dataset
    assert rows["id"].is_unique and rows["decodes"].all()
    assert rows["object_error"].isna().all() if "boxes" in rows else rows["label"].notna().all()
    assert rows[["width", "height", "bytes"]].gt(0).all(axis=None)
    assert (
        rows["sha256"].str.fullmatch("[0-9a-f]{64}").all()
        and rows["phash"].str.fullmatch("[0-9a-f]{16}").all()
    )
    assert rows[["brightness", "contrast"]].stack().between(0, 1).all()


def test_splits_share_out_all_examples(dataset):
    _, data, rows = dataset
    ids = [id for split in SPLITS for id in getattr(data, split).ids]
    assert sorted(ids) == sorted(rows["id"])
    given = dict(zip(rows["id"], rows["split"], strict=True))
    for split in ("validation", "test"):
        held_out = set(getattr(data, split).ids)
        assert {id for id in rows["id"] if given[id] == split} <= held_out


def test_images_have_the_promised_shape_and_levels(dataset):
    _, data, _ = dataset
    allowed = np.rint(np.arange(data.spec.levels) * 255 / (data.spec.levels - 1))
    for split in SPLITS:
        part = getattr(data, split)
        assert part.images.dtype == np.uint8 and part.images.shape == (len(part.ids), *data.spec.shape)
        labels = part.labels if part.boxes is None else part.box_labels[part.box_labels != NO_OBJECT]
        assert part.labels.dtype == labels.dtype == np.int64
        assert set(labels.tolist()) == set(range(data.spec.num_classes))
        assert np.isin(np.unique(part.images), allowed).all()


@pytest.mark.parametrize("dataset", _marked(DERIVED), indirect=True)
def test_what_is_made_from_another_data_set_keeps_its_splits(dataset):
    name, data, rows = dataset
    settings = spec.load(Path("data") / name / "dataset.yaml")
    parent = PreparedData(Path("artifacts/data") / settings.parent / "prepared")
    sources = rows.set_index("id")["source"]
    for split in SPLITS:
        ours, theirs = getattr(data, split), getattr(parent, split)
        made_of = {id for source in sources[ours.ids] for id in source.split(": ")[1].split(", ")}
        # A subject is in every split, in pictures of its own each time (tests/data/recipes/test_motifs.py).
        assert made_of - ({settings.captions.tinted.subject.id} if name == "digit_subject" else set()) <= set(
            theirs.ids
        )
        if settings.recipe == "edges":
            assert ours.ids == theirs.ids
            assert (ours.images == theirs.images).all() and (ours.labels == theirs.labels).all()


def test_inputs_have_the_promised_shape(dataset):
    _, data, _ = dataset
    for part in (getattr(data, split) for split in SPLITS):
        if data.spec.task in ("translation", "controlled_generation"):
            assert part.inputs.dtype == np.uint8
            assert part.inputs.shape == (*part.images.shape[:3], data.spec.input_channels)
        else:
            assert part.inputs is None


def test_texts_are_the_manifest_s(dataset):
    _, data, rows = dataset
    if data.spec.task != "transcription":
        assert data.train.texts is None and data.spec.symbols is None
        return
    said = dict(zip(rows["id"], rows["text"], strict=True))
    for part in (getattr(data, split) for split in SPLITS):
        assert part.texts.dtype == np.int64 and part.texts.shape == (len(part), data.spec.longest_text)
        assert spell(part.texts, data.spec.symbols, data.spec.separator) == [said[id] for id in part.ids]
        assert set(np.unique(part.texts)) - {END} == set(range(len(data.spec.symbols)))


def test_captions_are_the_manifest_s_in_the_words_of_train(dataset):
    name, data, rows = dataset
    if data.spec.task not in ("text_to_image", "controlled_generation"):
        assert data.train.captions is None and data.spec.words is None
        return
    said = dict(zip(rows["id"], rows["text"], strict=True))
    for part in (getattr(data, split) for split in SPLITS):
        assert part.captions.dtype == np.int64
        assert part.captions.shape == (len(part), data.spec.longest_caption)
        spelled = captions.spell(part.captions, data.spec.words)
        told = [captions.words(said[id]) for id in part.ids]
        if name in PEOPLE:
            told = [[word for word in words if word in data.spec.words] for words in told]
        assert spelled == [" ".join(words) for words in told]
    used = set(np.unique(data.train.captions)) - {captions.PADDING}
    assert used == set(range(captions.FIRST, captions.FIRST + len(data.spec.words)))
    assert data.spec.words == tuple(sorted(data.spec.words))


def test_nobody_is_in_two_splits_and_every_landmark_in_the_picture(dataset):
    _, data, _ = dataset
    if data.spec.task != "reenactment":
        assert data.train.landmarks is None and data.train.identities is None
        return
    seen = [set(getattr(data, split).identities.tolist()) for split in SPLITS]
    assert not seen[0] & seen[1] and not seen[0] & seen[2] and not seen[1] & seen[2]
    for part in (getattr(data, split) for split in SPLITS):
        assert part.landmarks.dtype == np.float32 and part.identities.dtype == np.int64
        assert part.landmarks.shape == (len(part), data.spec.num_landmarks, 2)
        assert (part.landmarks >= 0).all() and (part.landmarks <= 1).all()
        assert (np.bincount(part.identities)[part.identities] > 1).all()


def test_objects_have_a_box_in_the_picture_and_the_class_of_their_mask(dataset):
    _, data, _ = dataset
    for part in (getattr(data, split) for split in SPLITS):
        if data.spec.task != "detection":
            assert part.boxes is None and part.box_labels is None and part.masks is None
            continue
        assert (part.labels == NO_OBJECT).all()
        assert part.boxes.dtype == np.float32 and part.box_labels.dtype == np.int64
        assert part.boxes.shape == (*part.box_labels.shape, 4) == (len(part), data.spec.max_objects, 4)
        there = part.box_labels != NO_OBJECT
        assert (part.boxes[~there] == 0).all()
        boxes = part.boxes[there]
        assert (boxes >= 0).all() and (boxes <= 1).all() and (boxes[:, :2] < boxes[:, 2:]).all()
        if not data.spec.has_masks:
            assert part.masks is None
            continue
        assert part.masks.dtype == np.uint8 and part.masks.shape == part.images.shape[:3]
        for mask, labels in zip(part.masks, part.box_labels, strict=True):
            assert set(np.unique(mask).tolist()) - {0, UNCOUNTED} <= set((labels + 1).tolist())


def test_no_content_is_in_two_splits(dataset):
    _, data, rows = dataset
    content = dict(zip(rows["id"], rows["sha256"], strict=True))
    seen = [{content[id] for id in getattr(data, split).ids} for split in SPLITS]
    assert not seen[0] & seen[1] and not seen[0] & seen[2] and not seen[1] & seen[2]
