"""``dvc.lock`` by its entries: one stage's lines are found, or put in place of others, without a look at the rest.

DVC parses the whole file for one stage, and writes all of it anew: seconds where there are forty models. As it writes
it, a stage is a block of lines below its name. Blocks that DVC wrote are moved as they are, so that what comes out are
the bytes that DVC would have written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

FILE = Path("dvc.lock")

_HEAD = "schema: '2.0'\nstages:\n"
_NEXT = re.compile(r"\n  (?=\S)")
_OUTSIDE = re.compile(r"\n(?!  |\Z)")
_NAME = re.compile(r"[A-Za-z_][\w@.-]*(?=:\n    )")
_ANCHOR = "&id0"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class NotAsWritten(Exception):
    """A ``dvc.lock`` is not as DVC writes it: edited, merged by hand, or with more in it than stages."""


def split(text: str) -> dict[str, str]:
    """Return the lines of each stage in the ``text`` of a ``dvc.lock``, by its name, in their order.

    ``join(split(text))`` is ``text``, and ``join(split(text) | split(other))`` what DVC writes where the stages of
    ``other`` are recorded anew.

    Raises:
        NotAsWritten: it is not what DVC writes, so that lines do not tell where a stage begins.
    """
    body = "\n" + text.removeprefix(_HEAD)
    if not text.startswith(_HEAD) or not text.endswith("\n") or _OUTSIDE.search(body) or _ANCHOR in text:
        raise NotAsWritten
    before, *blocks = _NEXT.split(body[:-1])
    names = [_NAME.match(block) for block in blocks]
    if before or not all(names):
        raise NotAsWritten
    entries = {name[0]: f"  {block}\n" for name, block in zip(names, blocks, strict=True)}
    if len(entries) < len(blocks):
        raise NotAsWritten
    return entries


def join(entries: Mapping[str, str]) -> str:
    """Return the text of a ``dvc.lock`` of ``entries``, lines of stages as :func:`split` gives them."""
    return _HEAD + "".join(entries.values())


def outs(item: str) -> dict[str, str]:
    """Return what DVC calls each recorded out of the stages of a data set or model, by its path; none without a file.

    Raises:
        yaml.YAMLError: the file is no YAML.
    """
    text = FILE.read_text(encoding="utf-8") if FILE.exists() else ""
    try:
        entries = {name: lines for name, lines in split(text).items() if _is_of(name, item)}
        stages = yaml.load("".join(entries.values()), _LOADER) or {}
    except NotAsWritten:
        stages = (yaml.load(text, _LOADER) or {}).get("stages") or {}
    made = [out for name, stage in stages.items() if _is_of(name, item) for out in stage.get("outs", ())]
    return {out["path"]: out["md5"] for out in made if "md5" in out}


def _is_of(stage: str, item: str) -> bool:
    return stage.partition("@")[2] == item
