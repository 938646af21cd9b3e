"""What a training keeps outside of its outs: resume points, the batch size that it found, how long it took.

DVC knows nothing of them. They go to the remote, so that a training that was killed goes on elsewhere.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

from components.project import layout
from data import atomic
from flows.remote_stages.storage import OWN, Storage

_LOOKS = 1.0
"""Seconds between two looks at whether there is a new resume point."""

_SHARE = 0.2
"""Greatest share of the time in which resume points are sent: large models have fewer of them elsewhere."""


class ResumePoints:
    """Sends resume points of a training to the remote as long as it goes on; what is there already comes first.

    They are found again by the item and by the key of the stage, so that nobody goes on from another stage's.
    """

    def __init__(self, storage: Storage, item: str, key: str) -> None:
        """Keep those of ``item``'s training, the stage ``key``, in the project in the working directory."""
        self._storage = storage
        self._item, self._folder = item, f"{OWN}/resume/{item}/{key}"
        self._sent: dict[Path, tuple[int, int]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send_all, daemon=True)

    def __enter__(self) -> ResumePoints:
        for name in self._storage.names(self._folder):
            self._storage.get(f"{self._folder}/{name}", layout.STATE / name)
        self._sent = self._marks()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def forget(self) -> None:
        """Remove the item's points from the remote: the training is over, and those of older settings are stale."""
        self._storage.remove_all(f"{OWN}/resume/{self._item}")

    def _send_all(self) -> None:
        pause = _LOOKS
        while not self._ended.wait(pause):
            started = time.monotonic()
            for file, mark in self._marks().items():
                if self._sent.get(file) != mark and self._send(file):
                    self._sent[file] = mark
            pause = max(_LOOKS, (time.monotonic() - started) / _SHARE)

    def _send(self, file: Path) -> bool:
        try:
            self._storage.put(file, f"{self._folder}/{file.relative_to(layout.STATE).as_posix()}")
        except FileNotFoundError:  # the training is over
            return False
        except Exception as error:  # of any library below; the training goes on, and the next point is sent
            print(f"{file}: not sent to the DVC remote: {type(error).__name__}: {error}", file=sys.stderr)
            return False
        return True

    def _marks(self) -> dict[Path, tuple[int, int]]:
        found = {}
        for file in (*layout.resume(self._item).rglob("*.safetensors"), layout.batch_size(self._item)):
            try:
                status = file.stat()
            except FileNotFoundError:
                continue
            if not file.name.startswith("."):  # one that is being written
                found[file] = (status.st_mtime_ns, status.st_size)
        return found


def collect(item: str) -> dict[str, str]:
    """Return the text of what the training of ``item`` left beside its outs, by path; of other stages nothing."""
    files = (layout.timing(item), layout.batch_size(item))
    return {str(file): file.read_text() for file in files if file.exists()}


def publish(storage: Storage, key: str, texts: dict[str, str], file: Path) -> None:
    """Keep what :func:`collect` gave for whoever restores the stage ``key``; ``file`` is a temporary one."""
    if texts:
        atomic.write_json(file, texts)
        storage.put(file, f"{OWN}/beside/{key}.json")


def find(storage: Storage, key: str, file: Path) -> dict[str, str]:
    """Return what :func:`publish` kept for the stage ``key``; ``file`` is a temporary one."""
    return json.loads(file.read_text()) if storage.get(f"{OWN}/beside/{key}.json", file) else {}
