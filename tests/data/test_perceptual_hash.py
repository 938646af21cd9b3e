import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from data import perceptual_hash as perceptual_hash_module
from data.perceptual_hash import from_hex, near_pairs, perceptual_hash, to_hex

GREY = arrays(
    np.uint8, st.tuples(st.just(1), st.integers(2, 40), st.integers(2, 40)), elements=st.integers(0, 120)
)


@given(GREY, st.integers(0, 15))
def test_brightness_and_contrast_do_not_matter(images, shift):
    assert perceptual_hash(images) == perceptual_hash(2 * images + shift)


@given(GREY, st.integers(2, 4))
def test_enlargement_by_whole_pixels_does_not_matter(images, factor):
    assert perceptual_hash(images) == perceptual_hash(images.repeat(factor, 1).repeat(factor, 2))


@given(st.integers(0, 255), st.integers(2, 50), st.integers(2, 50))
def test_a_flat_image_has_hash_zero(value, height, width):
    assert perceptual_hash(np.full((1, height, width), value, np.uint8)) == 0


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20))
def test_hexadecimal_round_trip(values):
    hashes = np.array(values, np.uint64)
    assert (from_hex(to_hex(hashes)) == hashes).all()


@given(
    arrays(np.uint64, st.integers(0, 300), elements=st.integers(0, 15)),
    arrays(np.uint64, st.integers(0, 300), elements=st.integers(0, 15)),
    st.integers(0, 9),
)
@settings(max_examples=30, deadline=None)
def test_near_pairs_are_all_pairs_within_the_distance(left, right, distance):
    rows, columns = near_pairs(left, right, distance)
    expected = [
        (i, j)
        for i, a in enumerate(left)
        for j, b in enumerate(right)
        if (int(a) ^ int(b)).bit_count() <= distance
    ]
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == expected


def test_near_pairs_of_many_hashes_are_found_a_part_at_a_time(monkeypatch):
    random = np.random.default_rng(0)
    left = random.integers(0, 1 << 63, 400, np.uint64)
    right = np.concatenate(
        [left[::3] ^ np.uint64(0b1011), random.integers(0, 1 << 63, 200, np.uint64), left[:5]]
    )
    whole = near_pairs(left, right, 4)
    differing = np.bitwise_count(left[:, None] ^ right[None])
    np.testing.assert_array_equal(whole, np.nonzero(differing <= 4))
    monkeypatch.setattr(perceptual_hash_module, "_PART", 7)
    np.testing.assert_array_equal(near_pairs(left, right, 4), whole)


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_a_photograph_is_known_again_after_compression_and_resizing(name):
    from sklearn.datasets import load_sample_images

    bunch = load_sample_images()
    photo = Image.fromarray(
        bunch.images[[path.endswith(name) for path in bunch.filenames].index(True)]
    ).convert("L")
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=40)
    copies = [Image.open(file), photo.resize((128, 96), Image.Resampling.BILINEAR)]
    original = perceptual_hash(np.asarray(photo)[None])[0]
    for copy in copies:
        assert np.bitwise_count(original ^ perceptual_hash(np.asarray(copy)[None])[0]) <= 4
    mirrored = perceptual_hash(np.asarray(photo)[None, :, ::-1])[0]
    assert np.bitwise_count(original ^ mirrored) > 12


def test_too_large_an_image_is_refused():
    with pytest.raises(ValueError, match="1024"):
        perceptual_hash(np.zeros((1, 2, 1025), np.uint8))
