"""``python -m flows.workspace.overrides``: print what is wrong in the ``overrides`` of ``params.yaml``, a line each.

A program of its own, because families import PyTorch, which ``darkroom`` itself has no use for.
"""

from __future__ import annotations

from collections.abc import Iterator

import models
from components.project import params
from components.project.sections import Params
from data.errors import UserError
from models.settings import configure


def wrong(settings: Params) -> Iterator[str]:
    """Yield what is wrong, with the file, the key, and what could be meant."""
    for name, entry in (settings.catalog | settings.all_models).items():
        if entry.overrides:
            config = models.family(entry.family).Config
            try:
                configure(config, entry.preset, entry.overrides, f"{settings.where(name)}.overrides")
            except UserError as error:
                yield str(error)


if __name__ == "__main__":
    for line in wrong(params.load()):
        print(line)
