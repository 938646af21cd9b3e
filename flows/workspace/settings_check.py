"""What is wrong in ``params.yaml`` and its form alone does not tell: told before the first stage, not after hours.

Families say which settings there are and what data they learn from, tasks what they measure, Prefect when a schedule is
due, the environment which secrets there are. A family's task is read from its source: importing it takes seconds.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import models
from components import tasks
from components.project import params
from components.project.layout import dataset_file
from components.project.sections import ModelParams, Params
from data import kinds, spec
from data.errors import UserError, nearest
from flows.prefect_api import cron
from flows.stages import fork_server

_FAMILIES = Path(models.__file__).parent


def check(settings: Params) -> None:
    """Check all of ``settings``.

    Raises:
        UserError: a line for each mistake.
    """
    looked = (_schedules, _alerts, _families, _gpus, _variants, _metrics, _slices, _overrides)
    if found := [told for look in looked for told in look(settings)]:
        raise UserError("\n".join(found))


def _schedules(settings: Params) -> Iterator[str]:
    for name, policy in settings.schedules.items():
        try:
            cron.check(name, policy)
        except UserError as error:
            yield str(error)


def _alerts(settings: Params) -> Iterator[str]:
    if settings.alerts.to:
        from components.alerts import addresses

        yield from addresses.mistakes(settings.alerts)


def _families(settings: Params) -> Iterator[str]:
    """Yield which models do not fit their data or their base."""
    for name, entry in settings.all_models.items():
        data, where = spec.load(dataset_file(entry.dataset)), settings.where(name)
        has_masks = data.objects is not None and data.objects.masks
        try:
            kinds.require(task_of(entry.family), f"{where}.dataset", entry.dataset, data.kind, has_masks)
        except UserError as error:
            yield str(error)
        wanted = _constant(_FAMILIES / entry.family / "__init__.py", "BASE")
        if section_of(entry) == "pretrained":
            yield from _of_weights(settings, name, where)
        elif wanted is None and entry.base is not None:
            section = "generators" if task_of(entry.family) in kinds.JUDGED else "models"
            yield f"{where}.family: {entry.family!r} starts from nothing: it belongs under {section!r}."
        elif wanted is not None and entry.base is None:
            told = f"starts from the weights of a {wanted!r}: it belongs under 'fine_tuned', with a 'base'"
            yield f"{where}.family: {entry.family!r} {told}."
        elif entry.base in settings.all_models and (family := settings.model(entry.base).family) != wanted:
            told = f"{entry.base!r} is a {family!r}, but {entry.family!r} starts from a {wanted!r}"
            yield f"{where}.base: {told}."
        elif name not in getattr(settings, section := section_of(entry)):
            told = {
                "generators": "is measured by the judge of its data set",
                "fine_tuned": f"starts from a {wanted!r} as a whole",
            }.get(section, "needs no judge")
            yield f"{where}.family: {entry.family!r} {told}: it belongs under {section!r}."


def _variants(settings: Params) -> Iterator[str]:
    """Yield the variants that a model's family does not declare."""
    for name, entry in (settings.catalog | settings.all_models).items():
        known = _constant(_FAMILIES / entry.family / "__init__.py", "VARIANTS") if entry.variants else ()
        if told := entry.wrong_variant(known or ()):
            yield f"{settings.where(name)}.{told}"


def _gpus(settings: Params) -> Iterator[str]:
    """Yield which models are to be trained on several GPUs by a family that uses one."""
    for name, entry in (settings.catalog | settings.all_models).items():
        if entry.gpus > 1 and _constant(_FAMILIES / entry.family / "__init__.py", "ONE_DEVICE"):
            told = f"but a {entry.family!r} is fitted on one device. Leave it out"
            yield f"{settings.where(name)}.gpus: {entry.gpus}, {told}."


def _of_weights(settings: Params, name: str, where: str) -> Iterator[str]:
    """Yield what is wrong with a model that fits weights into a network of its own."""
    entry = settings.model(name)
    if name not in settings.pretrained:
        told = "fits the weights of its base into a network of its own"
        yield f"{where}.family: {entry.family!r} {told}: it belongs under 'pretrained'."
    elif entry.base in settings.models and (family := settings.models[entry.base].family) != entry.family:
        told = f"{entry.base!r} is a {family!r}"
        yield f"{where}.base: {told}; a {entry.family!r} starts from its own kind or from 'weights'."


def _metrics(settings: Params) -> Iterator[str]:
    """Yield the thresholds of metrics that a model's task does not measure."""
    for name, policy in settings.gate.items():
        task = task_of((settings.catalog | settings.all_models)[name].family)
        known = tasks.of(task).METRICS
        for metric in policy.thresholds:
            if metric not in known:
                where = f"{params.FILE}: gate.{name}.thresholds.{metric}"
                yield f"{where}: {task} has no such metric.{nearest(metric, known)}"


def _slices(settings: Params) -> Iterator[str]:
    """Yield the slices and challenge sets that a policy asks something of and a model's data has not."""
    for name, policy in settings.gate.items():
        data = spec.load(dataset_file((settings.catalog | settings.all_models)[name].dataset))
        for key, word in (("slices", "slice"), ("challenge_sets", "challenge set")):
            known = getattr(data, key)
            for asked in getattr(policy, key):
                if not {asked, asked.partition("=")[0]} & known.keys():
                    where = f"{params.FILE}: gate.{name}.{key}.{asked}"
                    yield f"{where}: its data set has no such {word}.{nearest(asked, known)}"


def _overrides(settings: Params) -> Iterator[str]:
    """Yield the settings that a family does not have or cannot take, as another process finds them, with PyTorch.

    Those of the catalog, too: who takes a model from there should not find out then.
    """
    if not any(entry.overrides for entry in (settings.catalog | settings.all_models).values()):
        return
    programs = fork_server.programs()
    python = str(programs / "python") if programs else sys.executable
    done = subprocess.run(
        [python, "-m", "flows.workspace.overrides"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise UserError(f"models/: a family cannot be imported:\n{done.stderr.strip()[-2000:]}")
    yield from done.stdout.splitlines()


def section_of(entry: ModelParams) -> str:
    """Return the section of ``params.yaml`` that a model belongs to, by its family's task and what it starts from."""
    if entry.base is not None:
        fits_in = _constant(_FAMILIES / entry.family / "__init__.py", "PRETRAINED")
        return "pretrained" if fits_in else "fine_tuned"
    return "generators" if task_of(entry.family) in kinds.JUDGED else "models"


def task_of(family: str) -> str:
    """Return the task of a family."""
    return _constant(_FAMILIES / family / "__init__.py", "TASK")


def _constant(file: Path, name: str) -> Any:
    """Return the value that a module gives a name, which must be written out there; None where it does not."""
    for statement in ast.parse(file.read_text()).body:
        if isinstance(statement, ast.Assign) and [ast.unparse(target) for target in statement.targets] == [
            name
        ]:
            return ast.literal_eval(statement.value)
    return None
