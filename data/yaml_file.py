"""Reads a YAML file that people write: a key that is there twice is a mistake, of which PyYAML would take the last."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from data.errors import UserError

_MERGE = "tag:yaml.org,2002:merge"
_SAFE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C where there is one: ten times as fast


class _Loader(_SAFE):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        lines: dict[Any, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                continue
            line = key_node.start_mark.line + 1
            if key in lines:
                raise _TwiceError(
                    f"line {line}: {key!r} is there already, on line {lines[key]}. Remove one of them."
                )
            lines[key] = line
        return super().construct_mapping(node, deep)


class _TwiceError(Exception):
    pass


def read(path: Path, mend: str) -> Any:
    """Return the values of a YAML file; ``mend`` says what to do when there is none.

    Raises:
        UserError: the file is missing, is not YAML, or has a key twice.
    """
    try:
        # A subclass of the safe loader, which builds plain values only.
        return yaml.load(path.read_text(), _Loader)
    except FileNotFoundError:
        raise UserError(f"{path}: not found. {mend}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    except _TwiceError as error:
        raise UserError(f"{path}: {error}") from None
