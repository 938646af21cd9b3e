"""Has people told of what the follower sees: champions that are refused, canaries that fell back, and what is owed.

It costs the follower a look every few seconds. What sends is a process of its own.
"""

from __future__ import annotations

import logging
import time

from components.alerts import collecting, from_ledger, outbox
from components.alerts.sender import Sender
from components.project import params
from components.serving.rollout import fallen
from data.errors import first_line

EVERY_S = 10.0
"""Seconds between two looks."""
SEND_S = 30.0
"""Seconds that a process tries to send; the next look starts another where something is owed still."""

log = logging.getLogger("darkroom.serving")


class Told:
    """What a follower has people told of."""

    def __init__(self) -> None:
        self._sender, self._due, self._error = Sender(SEND_S), 0.0, ""

    def look(self) -> None:
        """Put in what is new, and have sent what is owed. What fails is logged once: serving does not depend on it."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + EVERY_S
        try:
            self._look()
            self._error = ""
        except Exception as error:  # of MLflow, SQLAlchemy, SQLite or the settings
            if first_line(error) != self._error:
                self._error = first_line(error)
                log.warning("alerts cannot be told", extra={"reason": self._error[:300]})

    def _look(self) -> None:
        policy = params.load_alerts()
        if not policy.to:
            return
        with outbox.opened() as box:
            for fell in fallen.since(box.since):
                box.put(from_ledger.fell_back(*fell), policy.to)
            try:
                collecting.collect(box, policy)
            finally:  # what is owed does not wait for a registry that is down
                if box.owed(policy.to):
                    self._sender.start()
