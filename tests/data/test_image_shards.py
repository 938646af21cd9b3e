from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from data import image_shards
from data.errors import UserError
from data.image_shards import EncodedImages


def contents(count: int, seed: int = 0) -> list[bytes]:
    rng = np.random.default_rng(seed)
    return [rng.bytes(int(size)) for size in rng.integers(0, 300, count)]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def written(folder, *sizes: int):
    """Write shards of ``sizes`` images; return their paths and all images."""
    images = [contents(size, seed) for seed, size in enumerate(sizes)]
    paths = [folder / f"{number:05d}.safetensors" for number in range(len(sizes))]
    for path, part in zip(paths, images, strict=True):
        image_shards.write(path, part)
    return paths, [image for part in images for image in part]


@pytest.mark.parametrize("sizes", [(5,), (3, 1, 4), (2, 0, 3), (0,), ()])
def test_images_of_many_shards_have_one_index(tmp_path, sizes):
    paths, images = written(tmp_path, *sizes)
    found = EncodedImages(paths)
    assert len(found) == len(images) == sum(sizes)
    assert list(found) == images
    assert [found[i] for i in reversed(range(len(found)))] == images[::-1]
    assert found.nbytes == sum(map(len, images))
    for beyond in (-1, len(images)):
        with pytest.raises(IndexError):
            found[beyond]


def test_same_contents_give_same_bytes_that_safetensors_reads(tmp_path):
    images = contents(7)
    for name in ("a", "b"):
        image_shards.write(tmp_path / name, images)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    tensors = load_file(tmp_path / "a")
    assert tensors["bytes"].tobytes() == b"".join(images)
    assert np.diff(tensors["offsets"]).tolist() == [len(image) for image in images]


def test_few_files_are_open_and_many_threads_read_them(tmp_path):
    paths, images = written(tmp_path, *[4] * 20)
    found = EncodedImages(paths, open_files=3)
    before = open_files()
    order = np.random.default_rng(1).integers(0, len(images), 2000).tolist()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(found.__getitem__, order)) == [images[i] for i in order]
    assert open_files() <= before + 3


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-1], "has .* bytes, and its header tells of"),
        (lambda content: content + b"x", "has .* bytes, and its header tells of"),
        (lambda content: b"", "its header is damaged"),
        (lambda content: b"\xff" * 100, "its header is damaged"),
        (lambda content: content.replace(b'"I64"', b'"I6"'), "is damaged|header tells of"),
    ],
)
def test_a_damaged_shard_is_named(tmp_path, damage, message):
    (path,), _ = written(tmp_path, 5)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=f"00000.safetensors: .*({message})"):
        EncodedImages([path])


def test_offsets_that_do_not_fit_are_refused_before_an_image_is_read(tmp_path):
    (path,), _ = written(tmp_path, 5)
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    path.write_bytes(content[: start + 8] + (1 << 40).to_bytes(8, "little") + content[start + 16 :])
    with pytest.raises(UserError, match="offsets: do not divide"):
        EncodedImages([path])[0]


def test_a_shard_that_is_not_there_or_shrinks_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.safetensors: this shard of images is not there"):
        EncodedImages([tmp_path / "gone.safetensors"])
    (path,), images = written(tmp_path, 5)
    found = EncodedImages([path])
    assert found[0] == images[0]
    os.truncate(path, path.stat().st_size - len(images[-1]))
    with pytest.raises(UserError, match="changed while it was read"):
        found[4]
