"""DVC that parses a text once and hashes a file once, where by itself it does so six times and more for one stage.

Texts are known by what is in them, so none is ever out of date; a fork of this process knows them as well. What was
hashed is forgotten when DVC forgets what it knows of the repository, as it does before it lets a command run.
"""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo


def parse_once() -> None:
    """Have DVC in this process, and in forks of it, keep what it parsed and found to be as it should be."""
    from dvc.utils import strictyaml
    from dvc.utils.serialize import _yaml

    parse, check = (inspect.unwrap(function) for function in (_yaml.parse_yaml, strictyaml.validate))
    # With DVC's module, not with this one: a fork reads the project's own code anew, as it may have been edited.
    parsed: dict[str, bytes] = vars(_yaml).setdefault("_parsed_once", {})
    checked: set[tuple[str, int]] = vars(_yaml).setdefault("_checked_once", set())

    @wraps(parse)
    def parse_kept(text: str, path: str, typ: str = "safe") -> Any:
        if typ != "safe":  # with comments, to be written again
            return parse(text, path, typ)
        if text not in parsed:
            parsed[text] = pickle.dumps(parse(text, path))
        return pickle.loads(parsed[text])  # a copy for each, as DVC takes some of them apart

    @wraps(check)
    def check_kept(data: Any, schema: Any, text: str | None = None, *where: Any, **options: Any) -> Any:
        if text is None:
            return check(data, schema, text, *where, **options)
        if (text, id(schema)) not in checked:
            check(data, schema, text, *where, **options)
            checked.add((text, id(schema)))
        return data

    _yaml.parse_yaml = strictyaml.parse_yaml = parse_kept
    strictyaml.validate = check_kept


@contextmanager
def hash_once() -> Iterator[None]:
    """Have DVC hash a dep once for all that it asks of it in the block, until it lets go of the repository."""
    from dvc.output import Output
    from dvc.repo import Repo

    build, reset = Output._build, Repo._reset
    hashed: dict[tuple[str, str], Any] = {}

    def build_kept(self: Output, store: Any, path: str, fs: Any, name: str, **options: Any) -> Any:
        if (
            not options.get("dry_run") or self.protocol != "local"
        ):  # an out goes into the cache as it is hashed
            return build(self, store, path, fs, name, **options)
        if (path, name) not in hashed:
            hashed[path, name] = build(self, store, path, fs, name, **options)
        return hashed[path, name]

    def forget(self: Repo) -> None:
        hashed.clear()
        reset(self)

    Output._build, Repo._reset = build_kept, forget
    try:
        yield
    finally:
        Output._build, Repo._reset = build, reset
