"""Following a run that goes on elsewhere: its lines, its end, and its cancellation."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    LogFilter,
    LogFilterFlowRunId,
    LogFilterLevel,
    LogFilterTimestamp,
)
from prefect.client.schemas.objects import Log, State, StateType, WorkPool
from prefect.exceptions import PrefectException
from prefect.states import Cancelling

from data.errors import UserError, first_line
from flows.work_pool import run_output
from flows.work_pool.pool import has_worker

_EVERY_S = 1.0
_SILENCE_S = 300.0
"""Seconds for which an API that does not answer is asked again."""
_LAST_LINES_S = 6.0
"""Seconds after a run's end in which its last lines arrive: Prefect sends them every two."""
_CANCEL_S = 90.0
"""Seconds for a worker to hear of a cancellation and to end the run, for which it gives it 30."""
_LOOK_S = 20.0
"""Seconds between two looks at who could do the work."""
_PAGE = 200
_INFO, _ERROR = 20, 40
_LATE = timedelta(seconds=30)
"""How much later than another line one of an earlier time may arrive."""


class Follower:
    """A run of a deployment that is followed to its end."""

    def __init__(self, client: SyncPrefectClient, run: UUID, pool: WorkPool) -> None:
        self._client, self._run, self._pool = client, run, pool
        self._seen: dict[UUID, Log] = {}
        self._is_whole = self._is_told = False

    @property
    def has_begun(self) -> bool:
        """Whether the run printed anything yet."""
        return any(log.name.startswith(run_output.PREFIX) for log in self._seen.values())

    def follow(self) -> State:
        """Print what the run prints until it has ended, and return its last state.

        Raises:
            UserError: the API did not answer for five minutes.
        """
        state = self._until_final(float("inf"))
        deadline = time.monotonic() + _LAST_LINES_S
        while not self._is_whole and time.monotonic() < deadline:
            time.sleep(_EVERY_S)
            self._print_new()
        return state

    def cancel(self) -> None:
        """Ask for the run's end, and wait until it has come."""
        print("cancelling the run on the worker", file=sys.stderr)
        self._client.set_flow_run_state(self._run, Cancelling())
        state = self._until_final(_CANCEL_S)
        if not state.is_final():
            print(f"the run is {state.name} still; Prefect's page tells its end", file=sys.stderr)

    def _until_final(self, limit_s: float) -> State:
        began = answered = looked = time.monotonic()
        while True:
            try:
                state = self._client.read_flow_run(self._run).state
                self._print_new()
                answered = time.monotonic()
                if state.is_final() or answered - began > limit_s:
                    return state
                if answered - looked > _LOOK_S:
                    self._tell_of_workers(state)
                    looked = answered
            except (httpx.HTTPError, PrefectException) as error:
                if time.monotonic() - answered > _SILENCE_S:
                    raise UserError(
                        f"Prefect's API has not answered for {_SILENCE_S:.0f} s ({first_line(error)}). The run goes on "
                        f"on its worker: prefect flow-run inspect {self._run}"
                    ) from None
            time.sleep(_EVERY_S)

    def _tell_of_workers(self, state: State) -> None:
        """Say once what may keep the run from its end."""
        if self._is_told:
            return
        if state.type == StateType.SCHEDULED:
            told = "no worker has taken the run yet"
        elif not has_worker(self._client, self._pool):
            told = (
                "no worker is online any more. A run that was killed with it is closed by the next one there"
            )
        else:
            return
        self._is_told = True
        print(f"{self._pool.name}: {told}", file=sys.stderr)

    def _print_new(self) -> None:
        for log in self._new():
            if log.name == run_output.END:
                self._is_whole = True
            elif log.name == run_output.OUT:
                print(log.message, flush=True)
            elif log.name == run_output.ERR or log.level >= _ERROR:
                print(log.message, file=sys.stderr, flush=True)

    def _new(self) -> Iterator[Log]:
        """Yield the lines that were not there before, by their time."""
        newest = max((log.timestamp for log in self._seen.values()), default=None)
        since = LogFilterTimestamp(after_=newest - _LATE) if newest else None
        which = LogFilter(
            flow_run_id=LogFilterFlowRunId(any_=[self._run]), level=LogFilterLevel(ge_=_INFO), timestamp=since
        )
        offset = 0
        while page := self._client.read_logs(which, limit=_PAGE, offset=offset):
            offset += len(page)
            for log in page:
                if log.id not in self._seen:
                    self._seen[log.id] = log
                    yield log
