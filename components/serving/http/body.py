"""The body of a request while it arrives, and one budget for those of all connections of a worker.

What a body costs goes by its bytes, not by the pieces that it comes in: small ones are joined as they come. As each is
a call of the parser all the same, a body of very many is refused.
"""

from __future__ import annotations

from collections.abc import Callable

from components.serving.request_error import Reason, RequestError

FREE = 64 << 10
"""Bytes of a body that are not counted: small requests find room, whatever the large ones take."""

FREE_PIECES, LEAST = 1 << 16, 256
"""Pieces of a body that may be of any size; those of one with more have this many bytes on average."""


class Budget:
    """Bytes of large bodies and messages that a worker holds, from their arrival to their answer.

    Attributes:
        held: the bytes now.
    """

    def __init__(self, most: int) -> None:
        self._most, self.held, self._highest = most, 0, 0
        self._on_release: list[Callable[[], None]] = []

    def fits(self, size: int) -> bool:
        """Whether there is room for ``size`` bytes more."""
        return self.held + size <= self._most

    def on_release(self, call: Callable[[], None]) -> None:
        """Call ``call`` whenever less is held."""
        self._on_release.append(call)

    def take(self, size: int) -> None:
        """Hold ``size`` bytes more.

        Raises:
            RequestError: they are more than there is room for (NO_ROOM).
        """
        if not self.fits(size):
            raise RequestError(
                Reason.NO_ROOM, f"requests hold {self._most} bytes already; try again", retry_after_s=1
            )
        self.held += size
        self._highest = max(self._highest, self.held)

    def release(self, size: int) -> None:
        """Hold ``size`` bytes less."""
        self.held -= size
        for call in self._on_release:
            call()

    def fallen(self, size: int) -> bool:
        """Whether it holds ``size`` bytes less than it has held since this was true last."""
        if self._highest - self.held < size:
            return False
        self._highest = self.held
        return True


class Body:
    """The body that is arriving on a connection.

    Attributes:
        size: how many bytes have come.
    """

    __slots__ = ("_budget", "_held", "_most", "_number", "_pieces", "_settled", "size")

    def __init__(self, budget: Budget, most: int) -> None:
        """Wait for the first one.

        Args:
            budget: what holds it, with others.
            most: most bytes that it may have.
        """
        self._budget, self._most = budget, most
        self._pieces: list[bytes] = []
        self._settled = self._number = self._held = self.size = 0

    def add(self, piece: bytes) -> None:
        """Add what has come; it is looked at when the connection has read no more for now (:meth:`settle`)."""
        self._pieces.append(piece)
        self.size += len(piece)

    def settle(self) -> None:
        """Join what was added, and count it.

        Raises:
            RequestError: it is too large, or comes in too small pieces (TOO_LARGE); there is no room for it (NO_ROOM).
        """
        pieces, size = self._pieces, self.size
        added = len(pieces) - self._settled
        if added > 1:
            pieces[self._settled :] = [b"".join(pieces[self._settled :])]
        self._settled = len(pieces)
        self._number += added
        if size > self._most:
            raise RequestError(Reason.TOO_LARGE, f"the body has more than {self._most} bytes")
        if self._number > FREE_PIECES and size < LEAST * self._number:
            told = f"the body comes in more than {FREE_PIECES} pieces of less than {LEAST} bytes"
            raise RequestError(Reason.TOO_LARGE, f"{told}: send larger chunks")
        if size > FREE:
            self._budget.take(size - self._held)
            self._held = size

    def take(self) -> tuple[bytes, int]:
        """Return the body, now that it is whole, and how many bytes the budget holds for it; another may follow.

        Raises:
            RequestError: as :meth:`settle`.
        """
        pieces = self._pieces
        if self._settled or len(pieces) != 1 or self.size > FREE or self.size > self._most:
            self.settle()
            content, held = pieces[0] if len(pieces) == 1 else b"".join(pieces), self._held
            self._held = 0
            self.drop()
            return content, held
        self.size = 0  # nearly always it is one piece
        return pieces.pop(), 0

    def drop(self) -> None:
        """Let it go."""
        self._budget.release(self._held)
        self._pieces.clear()
        self._settled = self._number = self._held = self.size = 0
