"""Objects of DVC's cache are hashed; what DVC itself writes is sound."""

from __future__ import annotations

import subprocess
from pathlib import Path

from flows.stages import cache_check

CACHE = Path(".dvc/cache/files/md5")


def test_a_flipped_byte_is_found_and_nothing_else(toy):
    subprocess.run(["dvc", "repro", "-q"], check=True)
    folder = toy / "many"
    folder.mkdir()
    for number in range(3):
        (folder / str(number)).write_text(str(number))
    subprocess.run(["dvc", "add", "-q", "many"], check=True)
    objects = [file for file in CACHE.rglob("*") if file.is_file()]
    assert len(objects) > 3 and any(file.suffix == ".dir" for file in objects)
    assert list(cache_check.damaged(CACHE)) == []
    for file in (objects[0], next(file for file in objects if file.suffix == ".dir")):
        file.chmod(0o644)
        content = bytearray(file.read_bytes())
        content[0] ^= 1
        file.write_bytes(content)
        assert file in list(cache_check.damaged(CACHE))
    assert list(cache_check.damaged(Path("nowhere"))) == []
