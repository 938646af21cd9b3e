"""A picture becomes the same pixels wherever it becomes pixels: ingest, prepare, a bundle, pipelines, the example."""

import io
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.bundles.bundle import Bundle
from components.datasets import described
from components.datasets import pictures as dataset_pictures
from components.pipelines import pictures
from components.project import layout
from data import image_shards
from data.encoded import EncodedArray
from data.fit import Fit
from data.frames import Frame
from data.image_shards import EncodedImages
from data.image_statistics import measure
from data.prepared import DataSpec
from data.spec import DatasetSpec, ImageSpec
from tests.components import workspace
from tests.data.test_images import BROKEN_EXIF
from tests.photo_folder import encode, photo

EXAMPLE = runpy.run_path(str(Path(__file__).parents[2] / "docs/examples/read_bundle.py"))
GROUND = (200, 100, 0)


def grey() -> Image.Image:
    return photo(2, 30, 40, channels=1)


def wide() -> Image.Image:
    return Image.fromarray(np.asarray(grey()).astype(np.uint16) * 257)


def clear() -> Image.Image:
    image = photo(2, 30, 40)
    image.putalpha(photo(3, 30, 40, channels=1))
    return image


def palette() -> Image.Image:
    return photo(2, 30, 40).quantize(16)


PICTURES = {
    "8 bits": encode(grey()),
    "16 bits": encode(wide()),
    "16 bits, one clear": encode(wide(), transparency=int(np.asarray(wide())[3, 3])),
    "one grey clear": encode(grey(), transparency=int(np.asarray(grey())[3, 3])),
    "alpha": encode(clear()),
    "grey and alpha": encode(clear().convert("LA")),
    "WebP with alpha": encode(clear(), "WEBP", lossless=True),
    "palette, one clear": encode(palette(), transparency=3),
    "palette, all half clear": encode(palette(), transparency=bytes([128] * 16)),
    "1 bit": encode(grey().convert("1")),
    "CMYK": encode(photo(2, 30, 40).convert("CMYK"), "JPEG"),
    "broken EXIF": encode(photo(2, 30, 40), "JPEG", exif=BROKEN_EXIF),
}


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


PHOTOGRAPHS = {
    "JPEG": encode(photo(2, 97, 145), "JPEG"),
    "on its side": encode(photo(2, 97, 145), "JPEG", exif=_exif(6)),
    "on its side, grey": encode(photo(2, 97, 145, channels=1), "JPEG", exif=_exif(5)),
    "twice as large": encode(photo(2, 16, 18), "JPEG"),
    "two pictures": encode(photo(2, 97, 145), "MPO", save_all=True, append_images=[photo(3, 97, 145)]),
}


@pytest.fixture
def bundle(bare_project) -> Bundle:
    workspace.export("m")
    return Bundle.open(layout.bundle("m"))


def described_by(row: dict) -> dataset_pictures.PictureRow:
    fields = dataset_pictures.PictureRow._fields[2:]
    return dataset_pictures.PictureRow("images", "picture", *(row[key] for key in fields))


def everywhere(
    content: bytes,
    channels: int,
    bundle: Bundle,
    folder: Path,
    fit: Fit = "stretch",
    storage: str = "raw",
) -> dict[str, np.ndarray]:
    """Return uint8 [8, 9, C] by who made it."""
    path = folder / "picture"
    path.write_bytes(content)
    image = ImageSpec(height=8, width=9, channels=channels, ground=GROUND, fit=fit)
    ((row, _, _),) = described.files([(path, None)], GROUND)
    assert row["error"] is None
    told = described_by(row)
    mode = {"mode": "L" if channels == 1 else "RGB"}
    reduced = storage == "encoded"
    bundle.description["image"] |= image.to_json() | mode | {"reduced": reduced}
    settings = DatasetSpec(
        source="imagefolder", folder=folder, image=image.model_copy(update={"storage": storage})
    )
    image_shards.write(folder / "shard", [content])
    of_training = DataSpec(
        name="d",
        task="classification",
        classes=(),
        mean=(),
        std=(),
        sha256="",
        encoded=reduced,
        **image.to_json(),
    )
    return {
        "prepare": dataset_pictures.array(told, content, dataset_pictures.frame(settings, channels)),
        "training, evaluation, export": EncodedArray(
            EncodedImages([folder / "shard"]), np.array([0]), of_training.frame(channels)
        )[0],
        "server": bundle.frame.read(content)[0],
        "predict": pictures.framed(path, bundle.frame)[0],
        "predict, bytes": pictures.framed(content, bundle.frame)[0],
        "predict, an image": pictures.framed(Image.open(path), bundle.frame)[0],
        "bundle": bundle.prepare_image(Image.open(io.BytesIO(content)))[0],
        "sent": bundle.frame.read(pictures.content(Image.open(path)))[0],
        "example": EXAMPLE["read_image"](path, bundle.description["image"])[0],
    }


@pytest.mark.parametrize("storage", ["raw", "encoded"])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize(
    "name", ["JPEG", "on its side", "on its side, grey", "twice as large", "two pictures"]
)
def test_everybody_sees_the_same_pixels_of_a_photograph(bundle, tmp_path, name, fit, storage):
    found = everywhere(PHOTOGRAPHS[name], 3, bundle, tmp_path, fit, storage)
    for who, pixels in found.items():
        np.testing.assert_array_equal(pixels, found["prepare"], err_msg=who)


def test_a_picture_that_somebody_decoded_is_taken_as_it_is(bundle, tmp_path):
    found = everywhere(PHOTOGRAPHS["JPEG"], 3, bundle, tmp_path, "crop", "encoded")
    image = Image.open(io.BytesIO(PHOTOGRAPHS["JPEG"]))
    size = image.size
    pictures.framed(image, bundle.frame)
    assert image.size == size  # what is the caller's is not changed
    image.load()
    pixels, of_whole = pictures.framed(image, bundle.frame)
    assert of_whole == size and 0 < np.abs(pixels.astype(int) - found["prepare"]).mean() < 20


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's own, of the broken block
def test_everybody_sees_the_same_pixels(bundle, tmp_path, name, channels):
    found = everywhere(PICTURES[name], channels, bundle, tmp_path)
    for who, pixels in found.items():
        np.testing.assert_array_equal(pixels, found["prepare"], err_msg=who)


def test_16_bits_are_the_same_picture_as_8(bundle, tmp_path):
    narrow, deep = (everywhere(PICTURES[name], 1, bundle, tmp_path) for name in ("8 bits", "16 bits"))
    for who, pixels in narrow.items():
        np.testing.assert_array_equal(pixels, deep[who], err_msg=who)


@pytest.mark.parametrize("name", ["16 bits", "alpha"])
def test_ingest_measures_what_prepare_makes(tmp_path, name):
    path = tmp_path / "picture.png"
    path.write_bytes(PICTURES[name])
    ((row, _, _),) = described.files([(path, None)], GROUND)
    told = described_by(row)
    frame = Frame(height=30, width=40, channels=1, ground=GROUND)
    expected = measure(dataset_pictures.array(told, PICTURES[name], frame)[None, ..., 0])
    assert row["brightness"] == expected.brightness[0] and row["contrast"] == expected.contrast[0]


def test_modes_that_no_file_has(bundle):
    pixels = bundle.prepare_image(Image.fromarray(np.asarray(wide()).astype(np.int32)))
    np.testing.assert_array_equal(pixels, bundle.prepare_image(grey()))
    with pytest.raises(pictures.UserError, match="8 or 16 bits"):
        bundle.prepare_image(grey().convert("F"))
    with pytest.raises(pictures.UserError, match="8 or 16 bits"):
        pictures.content(grey().convert("F"))
    sent = pictures.opened(pictures.content(photo(2, 30, 40).convert("CMYK")))
    np.testing.assert_array_equal(sent, photo(2, 30, 40).convert("CMYK").convert("RGB"))
