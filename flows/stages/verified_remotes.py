"""What DVC fetches is hashed: ``verify = true`` for every remote, without which it is taken as it comes."""

from __future__ import annotations

import io
import os
from pathlib import Path

import platformdirs
from configobj import ConfigObj, ConfigObjError

from data import atomic
from data.errors import UserError

FILES = (Path(".dvc/config"), Path(".dvc/config.local"))
"""Where the remotes of a project may stand: what git keeps, and what is this clone's alone."""

_APP = (
    "dvc",
    "iterative",
)  # dvc.dirs says the same, and takes longer to import than a run with nothing to do

_SECTION, _KEY = 'remote "', "verify"


def verify() -> list[str]:
    """Set ``verify = true`` for the remotes that do not say whether what comes from them is hashed.

    Those of the machine's and the account's own configuration are told in the project's: what is another project's too
    is not changed.

    Returns:
        A message for each of them. Whoever wrote ``verify = false`` meant it.

    Raises:
        UserError: one of the files cannot be read.
    """
    levels = {file: _read(file) for file in FILES}
    outer = [_read(file) for file in outer_files()]
    told = {name for level in (*levels.values(), *outer) for name in level.sections if _KEY in level[name]}
    lent = {name for level in outer for name in level.sections if "url" in level[name]}
    for name in lent - told:
        levels[FILES[1]].setdefault(name, {})
    messages = []
    for file, level in levels.items():
        unsaid = [
            name
            for name in level.sections
            if name.startswith(_SECTION) and ("url" in level[name] or name in lent) and name not in told
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


def outer_files() -> tuple[Path, Path]:
    """Return where a machine and an account may have remotes for all of their projects, as DVC looks for them."""
    system = os.environ.get("DVC_SYSTEM_CONFIG_DIR") or platformdirs.site_config_dir(*_APP)
    account = os.environ.get("DVC_GLOBAL_CONFIG_DIR") or platformdirs.user_config_dir(*_APP)
    return Path(system, "config"), Path(account, "config")


def _read(file: Path) -> ConfigObj:
    try:
        return ConfigObj(str(file), interpolation=False)
    except (ConfigObjError, UnicodeError) as error:
        raise UserError(f"{file}: {error}") from None
