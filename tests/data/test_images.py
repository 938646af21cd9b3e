import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from data.image_statistics import measure, measure_image
from data.images import MAX_PIXELS, DecodeError, decode, to_array
from data.spec import ImageSpec
from tests.photo_folder import encode, photo


def bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """Build by hand a PNG of about a hundred bytes that claims ``width`` x ``height`` pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_formats_are_told_by_content(form):
    image, name = decode(encode(photo(1), form))
    assert (name, image.size, image.mode) == (form, (48, 40), "RGB")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"hello, I am text", "not a JPEG, PNG or WebP"),
        (encode(photo(1), "GIF"), "not a JPEG, PNG or WebP"),
        (encode(photo(1), "JPEG")[:-200], "truncated"),
        (encode(photo(1), "PNG")[:200], "damaged"),
        (bomb(), "decompression bomb"),
        pytest.param(
            bomb(MAX_PIXELS // 1000, 1001),
            "decompression bomb",
            marks=pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
        ),
    ],
    ids=["empty", "text", "gif", "cut JPEG", "cut PNG", "bomb", "small bomb"],
)
def test_what_cannot_be_used_says_why(content, reason):
    with pytest.raises(DecodeError, match=reason):
        decode(content)


def test_messages_hold_nothing_of_this_process():
    messages = set()
    for _ in range(2):
        with pytest.raises(DecodeError) as caught:
            decode(b"\xff\xd8\xff" + b"junk" * 50)
        messages.add(str(caught.value))
    assert len(messages) == 1 and "0x" not in messages.pop()


def test_exif_orientation_is_honoured():
    exif = Image.Exif()
    exif[0x0112] = 6  # Turned by a quarter.
    image, _ = decode(encode(photo(1), "JPEG", exif=exif))
    assert image.size == (40, 48)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_becomes_what_models_take(mode, channels):
    array = to_array(photo(3).convert(mode), ImageSpec(height=20, width=30, channels=channels))
    assert array.shape == (20, 30, channels) and array.dtype == np.uint8 and array.std() > 0


def test_statistics_agree_with_numpy():
    grey = np.asarray(photo(5).convert("L"))
    found = measure(grey[None])
    scaled = grey / 255
    laplacian = (
        sum(np.roll(scaled, s, a) for s in (1, -1) for a in (0, 1))[1:-1, 1:-1] - 4 * scaled[1:-1, 1:-1]
    )
    np.testing.assert_allclose(found.brightness, scaled.mean(), rtol=1e-12)
    np.testing.assert_allclose(found.contrast, scaled.std(), rtol=1e-12)
    np.testing.assert_allclose(found.sharpness, laplacian.std(), rtol=1e-12)


def test_statistics_of_a_large_image_are_of_its_reduction():
    large = photo(6, 1500, 2100)
    found = measure_image(large)
    np.testing.assert_allclose(found.brightness, np.asarray(large.convert("L")).mean() / 255, atol=0.01)


def test_statistics_of_one_pixel():
    found = measure(np.full((1, 1, 1), 51, np.uint8))
    assert (found.brightness[0], found.contrast[0], found.sharpness[0]) == (0.2, 0, 0)
