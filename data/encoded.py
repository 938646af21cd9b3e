"""Pictures that stay files until they are looked at: decoded by threads, some at a time, whoever asks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from data import cores
from data.arrays import Rows
from data.errors import UserError
from data.frames import Frame
from data.image_shards import EncodedImages
from data.images import DecodeError


class EncodedArray(Rows):
    """uint8 [N, H, W, C]: what ``frame`` makes of files in shards.

    A row is the same, whatever is asked for with it, and with any number of threads.
    """

    def __init__(
        self, images: EncodedImages, places: np.ndarray, frame: Frame, workers: int | None = None
    ) -> None:
        """Take the files at ``places`` int64 [N] of ``images``; ``workers`` threads decode, or one on each core."""
        super().__init__((len(places), frame.height, frame.width, frame.channels), np.dtype(np.uint8))
        self._images, self._places, self._frame = images, places, frame
        self._workers = cores.available() if workers is None else workers

    def _take(self, rows: np.ndarray) -> np.ndarray:
        found = np.empty((len(rows), *self.shape[1:]), np.uint8)

        def decode(number: int) -> None:
            found[number] = self._decode(int(self._places[rows[number]]))

        # Pillow decodes and resizes without the interpreter's lock, so threads are enough.
        for _ in _pool(self._workers).map(decode, range(len(rows))):
            pass
        return found

    def _decode(self, place: int) -> np.ndarray:
        content = self._images[place]
        try:
            return self._frame.read(content)[0]
        except DecodeError as error:
            path, row = self._images.where(place)
            raise UserError(
                f"{path}: image {row}: {error}. Run the ingest and prepare stages again."
            ) from None


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, "decode")
