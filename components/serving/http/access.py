"""Who may ask for what: bearer tokens where the server has some, and no strange web pages where it has none."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from components.serving.http.routing import Access
from components.serving.http.tokens import Tokens
from components.serving.request_error import Reason, RequestError
from components.serving.settings import Settings, is_loopback


class Gatekeeper:
    """Checks each request before its body is read."""

    def __init__(self, settings: Settings, tokens: Tokens | None) -> None:
        self._settings, self._tokens = settings, tokens

    def check(self, access: Access, headers: Mapping[bytes, bytes]) -> None:
        """Check that this client may ask for this.

        Args:
            access: who may.
            headers: the request's, by name in lower case.

        Raises:
            RequestError: it has no valid token (401), one of too small a scope (403), or a browser asks on behalf
                of another site than the server's own (403).
        """
        if self._tokens is None:
            self._check_site(headers)
            return
        if access == "open":
            return
        scope = self._tokens.scope(headers.get(b"authorization"))
        if scope is None:
            raise RequestError(Reason.UNAUTHENTICATED, "a bearer token is needed")
        if access == "admin" and scope != "admin":
            raise RequestError(Reason.FORBIDDEN, "a token of admin scope is needed")

    def _check_site(self, headers: Mapping[bytes, bytes]) -> None:
        """Refuse browsers that another site sent here, or a name that was bent to this machine.

        Without tokens it is the loopback address that protects the server, and a browser on this machine
        reaches it on behalf of any page.
        """
        host = headers.get(b"host")
        if host is not None and not _is_local(host):
            raise RequestError(
                Reason.FORBIDDEN, "without tokens the server is asked by a loopback address only"
            )
        origin = headers.get(b"origin")
        if origin is not None and origin.partition(b"://")[2] != host:
            raise RequestError(Reason.FORBIDDEN, "without tokens the server answers no pages of other sites")


@lru_cache(256)
def _is_local(host: bytes) -> bool:
    """Whether a ``Host`` header names this machine."""
    try:
        return is_loopback(urlsplit(f"//{host.decode('latin-1')}").hostname or "")
    except ValueError:  # brackets that hold no address
        return False
