"""Bearer tokens: who may read (ask models), who may administer (load and unload).

A token is ``NAME.SECRET`` with a secret of 256 random bits. The file holds a salted SHA-256 of each secret: with that
much randomness nothing can be guessed, and a slow hash would only let strangers keep the server busy.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data import atomic
from data.errors import UserError

Scope = Literal["read", "admin"]
_LOOK_S = 1.0
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

log = logging.getLogger("darkroom.serving")


@dataclass(frozen=True)
class Token:
    """One line of the file: the hash of a secret, and what its bearer may do."""

    scope: Scope
    salt: str
    sha256: str


class Tokens:
    """The tokens of a file. A change of the file counts from the next request on, a second later at most."""

    def __init__(self, path: str | Path) -> None:
        """Read the file.

        Raises:
            UserError: it is no file of tokens.
        """
        self._path = Path(path)
        self._tokens, self._mark = _read(self._path), self._path.stat().st_mtime_ns
        self._looked = time.monotonic()

    def scope(self, authorization: bytes | None) -> Scope | None:
        """Return what the bearer of an ``Authorization`` header may do; None for a stranger."""
        if authorization is None or authorization[:7].lower() != b"bearer ":
            return None
        self._follow()
        name, _, secret = authorization[7:].decode("latin-1").strip().partition(".")
        token = self._tokens.get(name)
        if token is None or not hmac.compare_digest(token.sha256, _hash(token.salt, secret)):
            return None
        return token.scope

    def _follow(self) -> None:
        """Read the file again if it changed; while it is gone or damaged nobody is let in."""
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return
        self._looked = now
        try:
            mark = self._path.stat().st_mtime_ns
            if mark != self._mark:
                self._tokens, self._mark = _read(self._path), mark
        except (OSError, UserError) as error:
            log.error("no tokens", extra={"reason": str(error)})
            self._tokens, self._mark = {}, 0


def make(path: Path, name: str, scope: Scope) -> str:
    """Add a token called ``name`` to the file, in place of an older one of that name, and return it.

    It is nowhere else: only its hash is kept.

    Raises:
        UserError: the name has other characters than letters, digits, ``-`` and ``_``.
    """
    if not _NAME.fullmatch(name):
        raise UserError(f"token {name!r}: a name has up to 64 letters, digits, - and _.")
    values = json.loads(path.read_text()) if path.exists() else {}
    secret, salt = secrets.token_urlsafe(32), secrets.token_hex(16)
    values[name] = {"scope": scope, "salt": salt, "sha256": _hash(salt, secret)}
    atomic.write_json(path, values)
    path.chmod(0o600)
    return f"{name}.{secret}"


def _read(path: Path) -> dict[str, Token]:
    try:
        return {name: Token(**token) for name, token in json.loads(path.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a file of tokens: {error}") from None


def _hash(salt: str, secret: str) -> str:
    return hashlib.sha256(f"{salt}:{secret}".encode()).hexdigest()
