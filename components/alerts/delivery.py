"""Sends what is owed, one delivery after another, each noted before and after.

A receiver gets each event once. Only where this process is killed, or the connection lost, after the receiver took an
event and before that is noted here, it comes again: no sender can know. So each message ends in the event's id, and
services that take headers get it as ``Idempotency-Key``.
"""

from __future__ import annotations

import logging
import time

from apprise import LogCapture, NotifyBase, NotifyType

from components.alerts import addresses, outbox
from components.alerts.event import SEVERITY
from components.alerts.outbox import Delivery, Outbox
from components.project.sections import AlertsPolicy
from data.errors import UserError

_TICK_S = 1.0


def send(box: Outbox, policy: AlertsPolicy, for_s: float = 0.0, *, at_once: bool = False) -> None:
    """Send what is owed, and what fails again, until nothing is or ``for_s`` seconds have passed.

    Args:
        box: the outbox.
        policy: who is told.
        for_s: how long to go on; everything is tried once even if it is 0.
        at_once: try everything first, also what failed a moment ago.
    """
    until = time.monotonic() + for_s
    while owed := box.owed(policy.to):
        for delivery in owed:
            if at_once or _is_due(delivery):
                _deliver(box, policy, delivery)
        at_once = False
        left = until - time.monotonic()
        if left <= 0 or not box.owed(policy.to):
            return
        time.sleep(min(_TICK_S, left))


def _is_due(delivery: Delivery) -> bool:
    # A clock that was set back must not silence it for longer than any pause.
    return not 0 < delivery.due - time.time() <= outbox.LONGEST_PAUSE_S


def _deliver(box: Outbox, policy: AlertsPolicy, delivery: Delivery) -> None:
    try:
        service = addresses.service(policy, delivery.target)
    except UserError as error:
        box.failed(delivery, str(error))
        return
    tries = box.begin(delivery)
    reason = _notify(service, delivery, tries)
    if reason:
        box.failed(delivery, reason)
    else:
        box.sent(delivery)


def _notify(service: NotifyBase, delivery: Delivery, tries: int) -> str:
    """Send, and return why it failed; empty where it did not."""
    again = "" if tries == 1 else f", try {tries}"
    text = "\n\n".join(part for part in (delivery.text, f"event {delivery.id}{again}") if part)
    if isinstance(headers := getattr(service, "headers", None), dict):
        headers["Idempotency-Key"] = delivery.id
    with LogCapture(level=logging.WARNING) as told:
        try:
            kind = NotifyType(SEVERITY[delivery.kind])
            done = service.notify(body=text, title=f"Darkroom: {delivery.title}", notify_type=kind)
        except Exception as error:  # of any of the libraries of a hundred services
            return type(error).__name__  # its text may hold the address
        lines = told.getvalue().splitlines()
    return "" if done else (lines[-1].rpartition(" - ")[2] if lines else "it was not taken")
