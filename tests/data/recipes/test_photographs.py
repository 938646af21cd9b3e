"""Scenes of photographs: what lies where, on which ground; of drawn stand-ins, and of the installed ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from pydantic import ValidationError

from data.errors import UserError
from data.prepared import SPLITS
from data.recipes import photographs
from data.sources import ImageFile, tuxpaint
from data.spec import DatasetSpec, ImageSpec
from tests import needs

IMAGE = ImageSpec(height=96, width=128, channels=3)
COLOURS = {"food": (250, 0, 0), "town": (0, 0, 250)}


def spec(**changes: object) -> DatasetSpec:
    values = {"source": "tuxpaint", "objects": {"masks": True}, "image": IMAGE.model_dump()}
    values |= {
        "scenes": {"train": 6, "validation": 3, "test": 3},
        "splits": {"validation": 0.25, "test": 0.25},
    }
    return DatasetSpec.model_validate(values | changes)


def item(colour: tuple[int, int, int]) -> Image.Image:
    """Return a disc of one colour on what is transparent."""
    rows, columns = np.mgrid[:60, :60]
    alpha = np.where((rows - 30) ** 2 + (columns - 30) ** 2 < 28**2, 255, 0)
    picture = np.empty((60, 60, 4), np.uint8)
    picture[..., :3], picture[..., 3] = colour, alpha
    return Image.fromarray(picture)


@pytest.fixture(scope="module")
def ground() -> Image.Image:
    """A picture of so many greens as a photograph has."""
    noise = np.random.default_rng(0).integers(0, 120, (100, 100, 3)).astype(np.uint8)
    noise[..., 1] += 100
    return Image.fromarray(noise)


@pytest.fixture(scope="module")
def files(tmp_path_factory, ground) -> list[ImageFile]:
    """Eight cut-out things and four full pictures of each of two classes."""
    folder = tmp_path_factory.mktemp("photographs")
    found = []
    for label, colour in COLOURS.items():
        for number in range(12):
            path = folder / f"{label}-{number:02d}.png"
            (ground.convert("RGBA") if number % 3 == 0 else item(colour)).save(path)
            found.append(ImageFile(id=path.name, folder=folder, name=path.name, split="", label=label))
    return found


@pytest.fixture(scope="module")
def drawn(ground):
    items = [item(colour) for colour in COLOURS.values()]
    return [photographs.draw(np.random.default_rng(seed), items, [ground], IMAGE) for seed in range(40)]


def test_items_lie_where_their_masks_and_boxes_are(drawn):
    assert {len(scene.items) for scene in drawn} == set(range(1, 7))
    for scene in drawn:
        assert scene.image.shape == (96, 128, 3) and scene.image.dtype == np.uint8
        for number, (which, (x0, y0, x1, y1)) in enumerate(
            zip(scene.items, scene.boxes, strict=True), start=1
        ):
            seen = scene.instances == number
            assert seen.any() and not seen[:y0].any() and not seen[y1:].any()
            assert not seen[:, :x0].any() and not seen[:, x1:].any()
            assert np.median(scene.image[seen], axis=0).tolist() == list(list(COLOURS.values())[which])
        rows, columns = np.nonzero(scene.instances == len(scene.items))
        tight = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert tuple(scene.boxes[-1]) == tight, "nothing lies over the last one"
        assert scene.image[scene.instances == 0][:, 1].min() > 20, "the ground is seen where no item is"


def test_sizes_vary_and_something_stays_of_everything(drawn):
    sides = np.concatenate([scene.boxes[:, 2] - scene.boxes[:, 0] for scene in drawn])
    assert sides.min() >= 0.15 * 96 and sides.max() > 2 * sides.min()
    for scene in drawn:
        for number, (x0, y0, x1, y1) in enumerate(scene.boxes, start=1):
            assert (scene.instances == number).sum() > 0.7 * 0.7 * (x1 - x0) * (y1 - y0)


def test_the_same_seed_draws_the_same_and_splits_share_nothing(files):
    once, again = photographs.load("s", spec(), files), photographs.load("s", spec(), files)
    np.testing.assert_array_equal(once.images, again.images)
    seeded = spec(scenes={"train": 6, "validation": 3, "test": 3, "seed": 1})
    assert (photographs.load("s", seeded, files).images != once.images).any()
    shown = {split: set() for split in SPLITS}
    for split, source, objects in zip(once.splits, once.sources, once.objects, strict=True):
        names = source.split(", ")
        shown[split] |= set(names)
        assert objects.categories == tuple(name.split("-")[0] for name in names)
    assert once.splits == ["train"] * 6 + ["validation"] * 3 + ["test"] * 3
    assert not (shown["train"] & shown["validation"] or shown["train"] & shown["test"])
    assert not shown["validation"] & shown["test"]


def test_a_ground_is_no_drawing_and_has_no_holes(ground):
    assert photographs._close_up(ground.convert("RGBA")).size == (50, 50)
    assert photographs._close_up(Image.new("RGBA", (100, 100), (9, 9, 9, 255))) is None
    assert photographs._close_up(ground.convert("RGBA").resize((60, 60))) is None
    holed = ground.convert("RGBA")
    holed.putpixel((50, 50), (0, 0, 0, 0))
    assert photographs._close_up(holed) is None


def test_a_split_without_photographs_is_told(files):
    with pytest.raises(
        UserError, match=r"data/s/dataset\.yaml: splits: of 0 photographs for validation none"
    ):
        photographs.load("s", spec(splits={"validation": 0.01, "test": 0.25}), files)


@pytest.mark.parametrize(
    "changes",
    [
        {"scenes": None},
        {"objects": None},
        {"objects": {}},
        {"image": {"height": 9, "width": 9, "channels": 1}},
    ],
)
def test_scenes_need_masks_and_colours(changes):
    with pytest.raises(ValidationError, match="source tuxpaint has objects in scenes"):
        spec(**changes)


def test_the_installed_photographs_make_scenes():
    if not tuxpaint.DEBIAN_FOLDER.is_dir():
        needs.missing(f"the stamps: apt-get install {tuxpaint.PACKAGE}")
    root = Path(__file__).resolve().parents[3]
    text = (root / "data/stamp_scenes/dataset.yaml").read_text()
    settings = DatasetSpec.model_validate(
        yaml.safe_load(text) | {"scenes": {"train": 6, "validation": 3, "test": 3}}
    )
    made = photographs.load("stamp_scenes", settings, tuxpaint.load("stamp_scenes", settings))
    assert made.images.shape == (12, 320, 320, 3)
    assert {name for objects in made.objects for name in objects.categories} <= set(settings.classes)
    assert all((objects.instances > 0).mean() > 0.01 for objects in made.objects)
