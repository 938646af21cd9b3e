"""Has the ledger tell of champions that a server refuses, so that it is known wherever the registry is.

The server itself tells of them in its log, its metrics and ``/v2/health``, for as long as they are refused.
"""

from __future__ import annotations

import logging
import math
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict

from components.registry import ledger, locks
from components.registry.ledger import Entry
from components.registry.versions import Version
from components.serving.rollout.state import RejectedVersion, Target
from data.errors import first_line

RETRY_S = 60
"""Seconds after which an entry is tried again that could not be written: the follower's rights may be to read alone."""

log = logging.getLogger("darkroom.serving")


class Alarms:
    """What a follower told the ledger of."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}

    def raise_for(
        self,
        wanted: Mapping[str, Version],
        refused: Mapping[str, RejectedVersion],
        served: Mapping[str, Target],
    ) -> None:
        """Record the refusal of each champion that is refused, once for a version.

        Args:
            wanted: the registry's champions, by model.
            refused: what is refused, by model; what is no champion any more is passed over.
            served: what goes on being served, by model.
        """
        for name, refusal in refused.items():
            version = wanted.get(name)
            if version is None or (str(version.number), version.bundle_sha256) != (
                refusal.version,
                refusal.sha256,
            ):
                continue
            key = f"refusal:{name}:{refusal.sha256 or refusal.version}"
            if time.monotonic() < self._due.get(key, 0.0):
                continue
            try:
                _record(key, version, refusal.reason, served.get(name))
                self._due[key] = math.inf
            except Exception as error:  # of MLflow, SQLAlchemy or requests: serving does not depend on it
                self._due[key] = time.monotonic() + RETRY_S
                told = {"model": name, "version": refusal.version, "reason": first_line(error)[:300]}
                log.warning("the ledger cannot be told of a refusal", extra=told)


def _record(key: str, version: Version, reason: str, served: Target | None) -> None:
    host = platform.node()
    entry = Entry(
        "refusal",
        version.name,
        version.number,
        version.bundle_sha256,
        int(served.version) if served else None,
        reasons=(reason,),
        by=f"server on {host}",
        champion_sha256=served.sha256 if served else "",
    )
    evidence = {"host": host, "reason": reason, "served": asdict(served) if served else None}
    # Not the model's lock: a gate that decides holds it for minutes, and a refusal needs no place among its entries.
    with locks.of_workspace(f"refusals-{version.name}"):
        ledger.record(entry, key, evidence)
