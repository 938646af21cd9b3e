"""Does one thing with a model from many processes at once: ``python -m tests.components.at_once VERB NAME FOLDER...``.

MLflow is imported once; then each process, forked, starts in its folder when all of them are ready.
"""

from __future__ import annotations

import os
import sys
import traceback

import mlflow.store.model_registry.sqlalchemy_store
import mlflow.store.tracking.sqlalchemy_store  # noqa: F401

from components import gate, register
from tests.components import answered_here


def _register(name: str) -> str:
    registration = register.run(name)
    return f"{registration.version} {registration.created}"


def _promote(name: str) -> str:
    answered_here.install()
    decision = gate.run(name)
    return f"{decision.version} {decision.verdict}"


_VERBS = {"register": _register, "promote": _promote}


def _do(verb: str, name: str) -> None:
    """Do it and end the process, without the parent's cleaning up, which a fork must not do."""
    code = 1
    try:
        os.write(1, f"{_VERBS[verb](name)}\n".encode())
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)


def main(verb: str, name: str, folders: list[str]) -> None:
    ready, go = os.pipe(), os.pipe()
    children = []
    for folder in folders:
        child = os.fork()
        if child == 0:
            os.chdir(folder)
            os.write(ready[1], b".")
            os.close(go[1])
            os.read(go[0], 1)  # the end of the pipe: all are ready
            _do(verb, name)
        children.append(child)
    for _ in children:
        os.read(ready[0], 1)
    os.close(go[1])
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    sys.exit(max(codes))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
