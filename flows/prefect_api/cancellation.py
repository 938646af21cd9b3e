"""A flow run that is cancelled through Prefect's API, by its page or by another client, stops."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.runtime import flow_run

_EVERY = 2.0
"""Seconds between two looks."""


@contextmanager
def watch(stop: Callable[[], None]) -> Iterator[threading.Event]:
    """Look, for as long as the block lasts, whether the present flow run was cancelled; call ``stop`` when it was.

    Yields:
        Set when it was cancelled. An API that does not answer cancels nothing.
    """
    cancelled, over = threading.Event(), threading.Event()
    looking = threading.Thread(target=_look, args=[flow_run.id, stop, cancelled, over], daemon=True)
    looking.start()
    try:
        yield cancelled
    finally:
        over.set()


def _look(run_id: str, stop: Callable[[], None], cancelled: threading.Event, over: threading.Event) -> None:
    while not over.wait(_EVERY):
        try:
            with get_client(sync_client=True) as client:
                state = client.read_flow_run(run_id).state
        except Exception:  # of any of its libraries: it is asked again
            continue
        if state and state.type in (StateType.CANCELLING, StateType.CANCELLED) and not over.is_set():
            cancelled.set()
            stop()
            return
