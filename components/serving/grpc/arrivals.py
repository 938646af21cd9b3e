"""Which messages of gRPC may arrive now, within the budget that also holds the bodies of HTTP.

How large a message is, is not known before all of it is there. So it is read while the budget has room for the largest,
and then holds what it is. Meanwhile the library takes no more of it than a window of the connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from components.serving.http.body import FREE, Budget
from components.serving.request_error import Reason, RequestError, too_slow


class Arrivals:
    """Messages that arrive or are being answered, and calls that wait until theirs may arrive.

    One message may always arrive, whatever else is held: small ones find room. A large one that has none then is
    refused.
    """

    def __init__(self, budget: Budget, most: int, limit_s: float, patience_s: float) -> None:
        """Call it in the event loop's thread.

        Args:
            budget: what holds messages, and bodies of HTTP.
            most: most bytes of a message.
            limit_s: seconds in which a message has to arrive.
            patience_s: the same while other calls wait.
        """
        self._budget, self._most, self._limit_s, self._patience_s = budget, most, limit_s, patience_s
        self._begun = 0
        self._reading: dict[asyncio.Timeout, float] = {}
        self._waiting: deque[asyncio.Future[int]] = deque()
        budget.on_release(self._let_in)

    async def take(self, read: Callable[[], Awaitable[bytes]]) -> tuple[bytes, int]:
        """Return what ``read`` gives once it may arrive, and how many bytes are held for it until :meth:`release`.

        Raises:
            RequestError: it does not arrive in time (TOO_SLOW), or there is no room for it (NO_ROOM).
        """
        until = asyncio.get_running_loop().time() + self._limit_s
        reserved = await self._turn(until)
        try:
            content = await self._read(read, until)
            held = len(content) if len(content) > FREE else 0
            if not reserved and held:
                self._budget.take(held)
        except BaseException:
            self._leave(reserved)
            raise
        self._leave(reserved - held if reserved else 0)
        return content, held

    def release(self, held: int) -> None:
        """Let go what is held for a message that was answered."""
        self._budget.release(held)

    async def _read(self, read: Callable[[], Awaitable[bytes]], until: float) -> bytes:
        try:
            async with asyncio.timeout_at(until) as deadline:
                self._reading[deadline] = asyncio.get_running_loop().time()
                try:
                    if self._waiting:
                        self._hasten()
                    return await read()
                finally:
                    del self._reading[deadline]
        except TimeoutError:
            if deadline.when() == until:
                raise too_slow(self._limit_s) from None
            told = f"the message did not arrive within {self._patience_s:g} s, while others wait for room"
            raise RequestError(Reason.NO_ROOM, f"{told}; try again", retry_after_s=1) from None

    async def _turn(self, until: float) -> int:
        """Wait until a message may arrive; return what the budget holds for it."""
        if not self._waiting and (reserved := self._enter()) is not None:
            return reserved
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._hasten()
        try:
            async with asyncio.timeout_at(until):
                return await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():  # its turn came in the same moment
                self._leave(turn.result())
            if isinstance(error, TimeoutError):
                told = "there was no room for the message: requests hold all of it"
                raise RequestError(Reason.NO_ROOM, f"{told}; try again", retry_after_s=1) from None
            raise

    def _enter(self) -> int | None:
        """Return what is held for one message more; None where it has to wait."""
        if self._budget.fits(self._most):
            reserved = self._most
            self._budget.take(reserved)
        elif self._begun:
            return None
        else:
            reserved = 0
        self._begun += 1
        return reserved

    def _leave(self, release: int) -> None:
        """Let go what is held for a message that arrives no more."""
        self._begun -= 1
        self._budget.release(release)

    def _let_in(self) -> None:
        while self._waiting:
            if self._waiting[0].done():
                self._waiting.popleft()
            elif (reserved := self._enter()) is not None:
                self._waiting.popleft().set_result(reserved)
            else:
                return

    def _hasten(self) -> None:
        """Give those that arrive no more time than there is while others wait."""
        for deadline, began in self._reading.items():
            deadline.reschedule(min(deadline.when(), began + self._patience_s))
