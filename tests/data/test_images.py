import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from data.frames import Frame
from data.image_statistics import grey_of, measure
from data.images import MAX_PIXELS, DecodeError, decode, flatten, upright
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


def test_the_first_picture_of_a_phone_s_two_is_taken():
    two = encode(photo(1), "MPO", save_all=True, append_images=[photo(2)])
    image, name = decode(two)
    assert Image.open(io.BytesIO(two)).n_frames == 2 and name == "JPEG"
    np.testing.assert_array_equal(np.asarray(image), np.asarray(decode(encode(photo(1), "JPEG"))[0]))


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


BROKEN_EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03"
"""A block that ends in the middle of its only entry."""


@pytest.mark.parametrize("block", [BROKEN_EXIF, b"Exif\0\0no TIFF header", b"Exif\0\0"])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's own, of a block that was cut
def test_a_broken_exif_block_turns_nothing(form, block):
    content = encode(photo(1), form, exif=block)
    assert decode(content)[0].size == (48, 40)
    assert upright(Image.open(io.BytesIO(content))).size == (48, 40)


@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation_is_turned_as_pillow_does_and_only_once(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(photo(1), "PNG", exif=exif)
    found, _ = decode(content)
    np.testing.assert_array_equal(found, ImageOps.exif_transpose(Image.open(io.BytesIO(content))))
    np.testing.assert_array_equal(found, upright(found))


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
def test_16_bits_are_scaled(mode):
    grey = np.asarray(photo(4, channels=1))
    wide = grey.astype(np.uint16) * 257
    image = Image.fromarray(wide.astype({"I": np.int32, "I;16B": ">u2"}.get(mode, np.uint16)))
    assert image.mode == mode
    np.testing.assert_array_equal(flatten(image, "L"), grey)
    np.testing.assert_array_equal(flatten(image, "RGB"), np.stack([grey] * 3, axis=2))
    assert (
        measure(grey_of(image)[None]).brightness == measure(grey_of(Image.fromarray(grey))[None]).brightness
    )


@pytest.mark.parametrize(
    "values",
    [np.full((2, 2), 0.5, np.float32), np.array([[-1, 0]], np.int32), np.array([[0, 1 << 16]], np.int32)],
)
def test_what_has_no_known_white_is_refused(values):
    with pytest.raises(DecodeError, match="8 or 16 bits"):
        flatten(Image.fromarray(values), "L")


def transparent(kind: str) -> tuple[Image.Image, np.ndarray]:
    """Return a picture whose pixels are black, or clear in the left half, and where they are clear."""
    clear = np.zeros((4, 6), bool)
    clear[:, :3] = True
    alpha = np.where(clear, 0, 255).astype(np.uint8)
    if kind in ("LA", "RGBA", "PA"):
        image = Image.new(kind.removesuffix("A"), (6, 4))
        if kind == "PA":
            image.putpalette([0, 0, 0])
            image = image.convert("RGB")
        image.putalpha(Image.fromarray(alpha))
        return image.convert(kind), clear
    values = np.where(clear, 7, 0)
    if kind == "P":
        image = Image.fromarray(values.astype(np.uint8), "P")
        image.putpalette([0, 0, 0] * 8)
    else:
        image = Image.fromarray(values.astype(np.uint16 if kind == "I;16" else np.uint8))
        image = image.convert("RGB") if kind == "RGB" else image
    content = encode(image, "PNG", transparency=(7, 7, 7) if kind == "RGB" else 7)
    return Image.open(io.BytesIO(content)), clear


@pytest.mark.parametrize("kind", ["LA", "RGBA", "PA", "P", "L", "RGB", "I;16"])
def test_what_is_transparent_is_laid_on_the_ground(kind):
    image, clear = transparent(kind)
    assert image.mode == kind
    np.testing.assert_array_equal(flatten(image, "L"), np.where(clear, 255, 0))
    np.testing.assert_array_equal(
        flatten(image, "RGB", (10, 20, 30)), np.where(clear[..., None], [10, 20, 30], 0)
    )
    assert (
        measure(grey_of(image)[None]).brightness == 0.5
        and measure(grey_of(image, (0, 0, 0))[None]).brightness == 0
    )


def test_what_is_half_transparent_is_mixed_with_the_ground():
    image = Image.new("RGBA", (1, 1), (0, 0, 0, 128))
    assert np.asarray(flatten(image, "L")).item() == 127


def test_what_is_as_models_take_it_is_not_copied():
    image = photo(3)
    assert flatten(image, "RGB") is image and flatten(image, "L") is not image


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_becomes_what_models_take(mode, channels):
    array = Frame(height=20, width=30, channels=channels).of_image(photo(3).convert(mode))[0]
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
    found = measure(grey_of(large)[None])
    np.testing.assert_allclose(found.brightness, np.asarray(large.convert("L")).mean() / 255, atol=0.01)


def test_statistics_of_one_pixel():
    found = measure(np.full((1, 1, 1), 51, np.uint8))
    assert (found.brightness[0], found.contrast[0], found.sharpness[0]) == (0.2, 0, 0)
