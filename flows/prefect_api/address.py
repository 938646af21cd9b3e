"""``PREFECT_API_URL``, as people write it."""

from __future__ import annotations

import os

from data.errors import UserError

VARIABLE = "PREFECT_API_URL"


def tidy() -> str | None:
    """Bring the variable into the form in which addresses are put together from it, and return it; None without it.

    Raises:
        UserError: it is no address of a server.
    """
    given = os.environ.get(VARIABLE)
    if not given:
        return None
    if not given.startswith(("http://", "https://")):
        raise UserError(f"{VARIABLE}={given}: is no address of a server; one is http://127.0.0.1:4200/api.")
    os.environ[VARIABLE] = given.rstrip("/")
    return os.environ[VARIABLE]
