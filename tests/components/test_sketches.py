"""Pictures with captions and edge maps, from tinted digits through ingest and prepare to tensors."""

from __future__ import annotations

import pytest
import yaml

from components import ingest, prepare
from components.datasets import manifest
from components.project import layout
from data import atomic
from data.captions import spell, words
from data.errors import UserError
from data.image_statistics import grey
from data.prepared import SPLITS, PreparedData
from data.recipes import derived
from data.recipes.edges import edges
from data.spec import DatasetSpec
from tests.data.recipes.test_tinted import SMALL
from tests.models import tiny

SETTINGS = {
    "source": "derived",
    "from": "digits",
    "recipe": "captions",
    "captions": {"tinted": SMALL | {"wordings": list(SMALL["wordings"])}},
    "image": {"height": 16, "width": 18, "channels": 3},
    "input_channels": 1,
}


@pytest.fixture(scope="module")
def sketches(tmp_path_factory):
    """Give the folder of ``ingest``, the tensors of ``prepare``, and what the recipe makes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("project"))
        parent = tiny.prepare(layout.prepared("digits").absolute())
        settings = DatasetSpec.model_validate(SETTINGS)
        atomic.write_text(
            layout.dataset_file("s"),
            yaml.safe_dump(settings.model_dump(mode="json", by_alias=True), sort_keys=False),
        )
        ingested = ingest.run("s").absolute()
        verdict = {"success": True, "manifest": manifest.fingerprint(ingested)}
        atomic.write_json(layout.validation_file("s"), verdict)
        return ingested, PreparedData(prepare.run("s").absolute()), derived.load("s", settings, parent)


def test_the_manifest_has_the_columns_of_pairs_and_of_captions(sketches):
    ingested, _, made = sketches
    found = manifest.read(ingested)
    assert list(found.columns) == manifest.SKETCH_SCHEMA.names
    assert set(manifest.SKETCH_SCHEMA.names) == {
        *manifest.PAIRED_SCHEMA.names,
        *manifest.CAPTION_SCHEMA.names,
    }
    assert {file.name for file in ingested.iterdir()} == {manifest.MANIFEST, manifest.SHARDS}
    assert (found["row"].notna() & found["input_row"].notna()).all()
    told = dict(zip(made.ids, made.captions, strict=True))
    rows = found.to_dict("records")
    assert {row["id"]: row["text"] for row in rows} == told
    assert all(list(row["words"]) == list(words(row["text"])) for row in rows)
    assert {(row["input_width"], row["input_height"], row["input_mode"]) for row in rows} == {(18, 16, "L")}


def test_each_picture_comes_with_its_own_caption_and_edge_map(sketches):
    _, data, made = sketches
    assert (data.spec.task, data.spec.input_channels) == ("controlled_generation", 1)
    assert data.spec.words and data.spec.longest_caption
    place = {id: k for k, id in enumerate(made.ids)}
    seen = []
    for part in (getattr(data, split) for split in SPLITS):
        for id, image, edge_map, text in zip(
            part.ids, part.images, part.inputs, spell(part.captions, data.spec.words), strict=True
        ):
            assert (image == made.images[place[id]]).all()
            assert (edge_map[..., 0] == edges(grey(image[None]))[0]).all()
            assert text == " ".join(words(made.captions[place[id]]))
            seen.append(id)
    assert sorted(seen) == sorted(made.ids)


def test_it_is_for_controlled_generation_and_for_text_to_image_without_the_maps(sketches):
    spec = sketches[1].spec
    for task in ("controlled_generation", "text_to_image"):
        spec.require(task, "params.yaml: models.m.dataset")
    for task in ("translation", "classification"):
        with pytest.raises(UserError, match="is data for controlled_generation, and the model's task is"):
            spec.require(task, "params.yaml: models.m.dataset")
