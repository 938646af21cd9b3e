"""What a run is to do: made once, when it begins, and read by all that follows."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from components.project import layout
from components.project.sections import Params
from flows.stages import dag, up_to_date


@dataclass(frozen=True)
class Plan:
    """The stages of some models, and which of them have to run.

    Attributes:
        run: the name of the run, 32 hexadecimal digits.
        settings: ``params.yaml``, as it was read.
        models: names of models, in order.
        stages: those of the models and all upstream of them, upstream first.
        stale: addresses of the stages that DVC did not find up to date.
        forced: models whose stages run in any case.
        files: marks of all files of the stages, as they lay before DVC looked.
    """

    run: str
    settings: Params
    models: tuple[str, ...]
    stages: tuple[dag.Stage, ...]
    stale: frozenset[str]
    forced: frozenset[str]
    files: up_to_date.Marks

    @classmethod
    def make(cls, settings: Params, models: Collection[str], *, force: bool = False) -> Plan:
        """Read the DAG and ask DVC what is stale.

        Args:
            settings: ``params.yaml``.
            models: names under ``generators:``, ``models:`` or ``fine_tuned:`` of it.
            force: run the stages of these models even if they are up to date.

        Raises:
            UserError: DVC cannot read the project, or a model has no stage.
        """
        # What DVC reads is marked before it does: an edit that comes between is then one since.
        read = up_to_date.take(())
        project = dag.Project()
        all_of_them = project.stages()
        stages = dag.with_labels(all_of_them, dag.select(all_of_them, models))
        files = up_to_date.take({path for stage in stages for path in stage.paths}) | read
        stale = frozenset(project.changed(stages))
        forced = frozenset(models if force else ())
        return cls(uuid.uuid4().hex, settings, tuple(models), tuple(stages), stale, forced, files)

    @property
    def may_run(self) -> list[dag.Stage]:
        """The stages that are stale, forced, or downstream of such a one."""
        return dag.may_run(self.stages, self.stale, self.forced)

    @property
    def folder(self) -> Path:
        """Where the run keeps its logs and sockets."""
        return layout.STATE / "runs" / self.run[:8]
