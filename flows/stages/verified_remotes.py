"""What DVC fetches is hashed: ``verify = true`` for every remote, without which it is taken as it comes."""

from __future__ import annotations

import io
from pathlib import Path

from configobj import ConfigObj, ConfigObjError

from data import atomic
from data.errors import UserError

FILES = (Path(".dvc/config"), Path(".dvc/config.local"))
"""Where the remotes of a project may stand: what git keeps, and what is this clone's alone."""

_SECTION, _KEY = 'remote "', "verify"


def verify() -> list[str]:
    """Set ``verify = true`` for the remotes that do not say whether what comes from them is hashed.

    Returns:
        A message for each of them. Whoever wrote ``verify = false`` meant it.

    Raises:
        UserError: one of the files cannot be read.
    """
    levels = {file: _read(file) for file in FILES}
    told = {name for level in levels.values() for name in level.sections if _KEY in level[name]}
    messages = []
    for file, level in levels.items():
        unsaid = [
            name
            for name in level.sections
            if name.startswith(_SECTION) and "url" in level[name] and name not in told
        ]
        for name in unsaid:
            level[name][_KEY] = "true"
            remote = name.removeprefix(_SECTION).rstrip('"')
            messages.append(f"{file}: remote {remote!r}: set verify = true, so that what it gives is hashed")
        if unsaid:
            content = io.BytesIO()
            level.indent_type = "    "
            level.write(content)
            atomic.write_bytes(file, content.getvalue())
    return messages


def _read(file: Path) -> ConfigObj:
    try:
        return ConfigObj(str(file), interpolation=False)
    except (ConfigObjError, UnicodeError) as error:
        raise UserError(f"{file}: {error}") from None
