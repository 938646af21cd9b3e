"""What stands around every request, whichever protocol it came by: admission, names, counters, log."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from components.serving.http.access import Gatekeeper
from components.serving.http.request_ids import RequestIds
from components.serving.http.routing import Access
from components.serving.request_error import Reason, RequestError
from components.serving.service import Service

_LONGEST = 256  # characters of a model's name in the log
_LIMITS = {  # the counter's label, the same for both protocols
    Reason.TOO_LARGE: "413",
    Reason.BUSY: "503",
    Reason.NO_ROOM: "503",
}
_LEVELS = {Reason.FAILED: logging.ERROR, Reason.BUSY: logging.WARNING, Reason.NO_ROOM: logging.WARNING}

log = logging.getLogger("darkroom.serving")


class DataPlane:
    """Admits requests, and records what became of them.

    Attributes:
        access_log: whether every request is logged; otherwise only those that were not answered.
    """

    def __init__(self, service: Service) -> None:
        self._metrics, self._repository = service.metrics, service.repository
        self._gatekeeper, self._ids = Gatekeeper(service.settings, service.tokens), RequestIds()
        self.access_log = service.settings.access_log

    def id_of(self, headers: Mapping[bytes, bytes]) -> str:
        """Return the name of a request in logs and answers, by its headers."""
        return self._ids.of(headers.get(b"x-request-id"))

    def admit(self, access: Access, headers: Mapping[bytes, bytes]) -> None:
        """Check that the client may ask for this.

        Args:
            access: who may.
            headers: the request's headers or metadata, by name in lower case.

        Raises:
            RequestError: it may not (UNAUTHENTICATED, FORBIDDEN).
        """
        self._gatekeeper.check(access, headers)

    def error_of(self, error: Exception, id: str, path: str) -> RequestError:
        """Return what the client is told of an exception; the log has one that nobody expected."""
        if isinstance(error, RequestError):
            return error
        log.error("a handler failed", exc_info=error, extra={"request": id, "path": path})
        return RequestError(Reason.FAILED, "internal error; the server's log has it under this request's id")

    def count(self, method: str, route: str, status: str) -> None:
        """Count a request that ended, by its status as the protocol has it."""
        self._metrics.requests.add(method, route, status)

    def count_rejected(self, model: str, error: RequestError) -> None:
        """Count a request by its model, if a limit refused it."""
        if error.reason in _LIMITS:
            # Names that are no model's would fill the memory.
            known = model if self._repository.knows(model) else ""
            self._metrics.rejected.add(known, _LIMITS[error.reason])

    def log(
        self,
        id: str,
        method: str,
        path: str,
        status: int | str,
        error: RequestError | None,
        model: tuple[str, str],
        seconds: float,
    ) -> None:
        """Write the line of a request that ended.

        Args:
            id: its name.
            method: HTTP's, or ``gRPC``.
            path: HTTP's, or the name of gRPC's method.
            status: as the protocol has it.
            error: why it was not answered; None if it was.
            model: name and version that were asked; each empty if it is not known.
            seconds: from its arrival to its answer.
        """
        fields = {
            "request": id,
            "method": method,
            "path": path,
            "status": status,
            "ms": round(1e3 * seconds, 3),
            "model": model[0][:_LONGEST],
            "version": model[1],
        }
        log.log(_LEVELS.get(error.reason, logging.INFO) if error else logging.INFO, "request", extra=fields)
