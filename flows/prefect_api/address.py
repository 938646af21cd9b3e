"""``PREFECT_API_URL``, as people write it."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

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
    url = given.rstrip("/")
    if not urlsplit(url).path:
        raise UserError(f"{VARIABLE}={given}: is Prefect's page; its API is {url}/api.")
    os.environ[VARIABLE] = url
    return url
