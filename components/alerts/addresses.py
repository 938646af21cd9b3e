"""Where alerts go: addresses of ``params.yaml`` with what the environment holds in place of ``${NAME}``.

What an address becomes is a secret: no message has it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from components.project.sections import FILE, AlertsPolicy
from data.errors import UserError

if TYPE_CHECKING:
    from apprise import NotifyBase

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_]\w*")


def mistakes(policy: AlertsPolicy) -> Iterator[str]:
    """Yield what is wrong with each receiver of ``policy``, in this process's environment."""
    for name in policy.to:
        try:
            service(policy, name)
        except UserError as error:
            yield str(error)


def service(policy: AlertsPolicy, name: str) -> NotifyBase:
    """Return what sends to the receiver ``name``.

    Raises:
        UserError: a variable is not set, or apprise knows no such address.
    """
    url = expanded(policy, name)
    # Imported here: it takes a fifth of a second, and the first address most of another one.
    from apprise import Apprise, AppriseAsset

    asset = AppriseAsset(app_id="Darkroom", app_desc="Darkroom", app_url="")
    found = Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if found is None:
        raise UserError(
            f"{_where(name)}: apprise knows no such address. It looks like slack://TOKENS, mailto://USER:PASSWORD@HOST"
            " or json://HOST/PATH: https://appriseit.com/services"
        )
    return found


def expanded(policy: AlertsPolicy, name: str) -> str:
    """Return the address of the receiver ``name`` with its variables' values.

    Raises:
        UserError: a variable is not set, or its name is none.
    """

    def value(found: re.Match[str]) -> str:
        variable = found[1]
        if not _NAME.fullmatch(variable):
            raise UserError(
                f"{_where(name)}: ${{{variable}}} names no variable. It looks like ${{SLACK_URL}}."
            )
        if not os.environ.get(variable):
            raise UserError(
                f"{_where(name)}: the environment has no {variable}. Set it, or take the receiver out."
            )
        return os.environ[variable]

    return _VARIABLE.sub(value, policy.to[name].url)


def _where(name: str) -> str:
    return f"{FILE}: alerts.to.{name}.url"
