"""Reading ``params.yaml``: its sections, checked against each other and against what the project holds."""

from __future__ import annotations

import re
import sys
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, Field, ValidationError

from components.project.sections import (
    FILE,
    KEPT,
    AlertsPolicy,
    AlertTarget,
    CanaryPolicy,
    GatePolicy,
    GcPolicy,
    LabelErrorsParams,
    ModelParams,
    Params,
    PredictionLogPolicy,
    Resources,
    SchedulePolicy,
    ServePolicy,
    SlicePolicy,
    StageName,
    Threshold,
    WeightsParams,
)
from data import yaml_file
from data.errors import UserError, nearest

OLD_CATALOG = "shelf"
"""What the section ``catalog`` was called: read for one release more."""

NAME = re.compile(r"\w[\w-]*")
"""Names of data sets and models: they stand in paths, addresses, stages of DVC and command lines."""


class _ServeAlone(BaseModel):
    """``serve:`` without the other sections, which a server that only asks the registry has no use for."""

    serve: dict[str, ServePolicy] = Field(default_factory=dict)


class _PredictionLogAlone(BaseModel):
    """``prediction_log:`` without the other sections."""

    prediction_log: dict[str, PredictionLogPolicy] = Field(default_factory=dict)


class _GateAlone(BaseModel):
    """``gate:`` without the other sections."""

    gate: dict[str, GatePolicy] = Field(default_factory=dict)


class _SchedulesAlone(BaseModel):
    """``schedules:`` without the other sections."""

    schedules: dict[str, SchedulePolicy] = Field(default_factory=dict)


class _AlertsAlone(BaseModel):
    """``alerts:`` without the other sections: a mistake in these is told of, too."""

    alerts: AlertsPolicy = AlertsPolicy()


def load(path: Path = FILE) -> Params:
    """Read and check ``params.yaml``.

    Raises:
        UserError: the file is missing, is not YAML, or holds an unknown key, family, data set or model.
    """
    params = _parse(path, Params, _in_present_words(path, _read(path)))
    _check_spelling(path, params)
    _check_names(path, params)
    return params


def load_serve(path: Path = FILE) -> dict[str, ServePolicy]:
    """Read and check ``serve:`` of ``params.yaml`` alone: where a server runs there need be no families and data.

    Raises:
        UserError: the file is missing, is not YAML, or has another mistake in this section.
    """
    return _parse(path, _ServeAlone, _read(path) or {}).serve


def load_canaries(path: Path = FILE) -> dict[str, CanaryPolicy]:
    """Read and check ``gate:`` of ``params.yaml`` alone, as a server does, and return the canaries by model.

    Raises:
        UserError: the file is missing, is not YAML, or has another mistake in this section.
    """
    gates = _parse(path, _GateAlone, _read(path) or {}).gate
    return {name: policy.canary for name, policy in gates.items() if policy.canary}


def load_prediction_log(path: Path = FILE) -> dict[str, PredictionLogPolicy]:
    """Read and check ``prediction_log:`` of ``params.yaml`` alone, as a server does.

    Raises:
        UserError: the file is missing, is not YAML, or has another mistake in this section.
    """
    return _parse(path, _PredictionLogAlone, _read(path) or {}).prediction_log


def load_approvals(path: Path = FILE) -> set[str]:
    """Return the models whose versions people have to approve, by ``gate:`` of ``params.yaml`` alone.

    Raises:
        UserError: the file is missing, is not YAML, or has another mistake in this section.
    """
    gates = _parse(path, _GateAlone, _read(path) or {}).gate
    return {name for name, policy in gates.items() if policy.approval == "required"}


def load_schedules(path: Path = FILE) -> dict[str, SchedulePolicy]:
    """Read and check ``schedules:`` of ``params.yaml`` alone.

    Raises:
        UserError: the file is missing, is not YAML, or has another mistake in this section.
    """
    return _parse(path, _SchedulesAlone, _read(path) or {}).schedules


def load_alerts(path: Path = FILE) -> AlertsPolicy:
    """Read and check ``alerts:`` of ``params.yaml`` alone.

    Raises:
        UserError: the file is missing, is not YAML, or has another mistake in this section.
    """
    return _parse(path, _AlertsAlone, _read(path) or {}).alerts


Section = TypeVar("Section", bound=BaseModel)


def _read(path: Path) -> Any:
    return yaml_file.read(path, "Run darkroom in the project's root.")


def _parse(path: Path, model: type[Section], values: Any) -> Section:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise UserError("\n".join(_explain(path, problem) for problem in error.errors())) from None


def _in_present_words(path: Path, values: Any) -> Any:
    """Return ``values`` with a section of an old name under its present one."""
    if not isinstance(values, dict) or OLD_CATALOG not in values:
        return values
    if "catalog" in values:
        raise UserError(
            f"{path}: {OLD_CATALOG}: is called 'catalog' now, which is there too. Move its entries there."
        )
    _tell_once(
        f"{path}: {OLD_CATALOG}: is called 'catalog' now. Rename it: the next release will not read it."
    )
    return {"catalog" if section == OLD_CATALOG else section: value for section, value in values.items()}


@cache
def _tell_once(line: str) -> None:
    print(line, file=sys.stderr)


def families() -> list[str]:
    """Return the names of the family folders in ``models/``."""
    return sorted(
        init.parent.name for init in Path("models").glob("*/__init__.py") if init.parent.name != "blocks"
    )


def _check_spelling(path: Path, params: Params) -> None:
    sections = {
        key: getattr(params, key) for key in ("datasets", *KEPT, "weights", "catalog", "catalog_weights")
    }
    for section, names in (sections | {"schedules": params.schedules, "alerts.to": params.alerts.to}).items():
        for name in names:
            if not NAME.fullmatch(name):
                raise UserError(
                    f"{path}: {section}: {name!r}: a name takes letters, digits, '-' and '_', and begins with no '-'."
                )


def _check_names(path: Path, params: Params) -> None:
    there, folders, models = families(), _dataset_folders(), params.all_models
    for section in (*KEPT, "catalog"):
        for name, model in getattr(params, section).items():
            where = f"{path}: {section}.{name}"
            if model.family not in there:
                raise UserError(f"{where}.family: no family {model.family!r}.{nearest(model.family, there)}")
            known = folders if section == "catalog" else params.datasets
            if model.dataset not in known:
                raise UserError(
                    f"{where}.dataset: no data set {model.dataset!r}.{nearest(model.dataset, known)}"
                )
            _check_base(where, section, model, params)
    for name in params.datasets:
        if name not in folders:
            raise UserError(f"{path}: datasets: no data set {name!r} in data/.{nearest(name, folders)}")
    for section in ("gate", "serve", "prediction_log"):
        for name in getattr(params, section):
            if name not in models and name not in params.catalog:
                raise UserError(f"{path}: {section}.{name}: no such model.{nearest(name, models)}")
    for name in params.resources:
        known = (*get_args(StageName), *models)
        if name not in known and name not in params.catalog:
            raise UserError(
                f"{path}: resources.{name}: neither a kind of stage nor a model.{nearest(name, known)}"
            )
    for schedule, policy in params.schedules.items():
        for name in policy.models:
            if name not in models:
                where = f"{path}: schedules.{schedule}.models"
                known = nearest(name, models)
                raise UserError(f"{where}: no model {name!r} under 'models'.{known}")
    for first, second in combinations((*KEPT, "weights"), 2):
        for name in getattr(params, first).keys() & getattr(params, second).keys():
            raise UserError(f"{path}: {name!r} is there twice, under {first!r} and under {second!r}.")
    for name in params.label_errors:
        if name not in params.datasets:
            raise UserError(f"{path}: label_errors: no data set {name!r}.{nearest(name, params.datasets)}")
    _check_judges(path, params)


def _check_judges(path: Path, params: Params) -> None:
    for dataset in params.judges:
        if dataset not in params.datasets:
            raise UserError(f"{path}: judges: no data set {dataset!r}.{nearest(dataset, params.datasets)}")
    for name, model in (params.generators | params.fine_tuned).items():
        if model.dataset not in params.judges:
            raise UserError(
                f"{path}: judges: {model.dataset!r} is missing, whose judge measures {name!r}. "
                f"Add it: judges: [{', '.join([*params.judges, model.dataset])}]"
            )


def _check_base(where: str, section: str, model: ModelParams, params: Params) -> None:
    if section in ("generators", "models") and model.base is not None:
        raise UserError(f"{where}.base: what starts from another model's weights belongs under 'fine_tuned'.")
    if section == "fine_tuned" and model.base is None:
        raise UserError(f"{where}.base: is missing: the model whose weights it starts from.")
    if section == "pretrained" and model.base is None:
        raise UserError(
            f"{where}.base: is missing: the entry of 'weights', or the model, that it starts from."
        )
    from_nothing = params.generators | params.models
    known = {
        "fine_tuned": from_nothing,
        "pretrained": params.models | params.weights,
        "catalog": from_nothing | params.catalog | params.weights | params.catalog_weights,
    }.get(section, {})
    if model.base is not None and model.base not in known:
        raise UserError(f"{where}.base: no model {model.base!r}.{nearest(model.base, known)}")
    if model.base is not None and "base" in model.overrides:
        raise UserError(
            f"{where}.overrides.base: is what {model.base!r} was trained with; nothing else fits."
        )


def _dataset_folders() -> list[str]:
    return sorted(file.parent.name for file in Path("data").glob("*/dataset.yaml"))


def _explain(path: Path, problem: Any) -> str:
    location = [str(part) for part in problem["loc"] if part != "[key]"]
    key = ".".join(location) or "the file"
    if problem["type"] == "extra_forbidden":
        return f"{path}: {key}: unknown key.{nearest(location[-1], _fields(problem['loc']))}"
    if problem["type"] == "missing":
        return f"{path}: {key}: is missing."
    if problem["type"] == "value_error":
        return f"{path}: {key}: {problem['ctx']['error']} (got {problem['input']!r})"
    if problem["type"] == "literal_error":
        word, choices = problem["input"], re.findall(r"'([^']*)'", problem["ctx"]["expected"])
        return f"{path}: {key}: {word!r} is no choice.{nearest(word, choices)}"
    return f"{path}: {key}: {problem['msg']} (got {problem['input']!r})"


def _fields(location: tuple) -> list[str]:
    """Return the valid keys beside the unknown key at ``location``."""
    owners: dict[str, type[BaseModel]] = {
        **dict.fromkeys(KEPT, ModelParams),
        "catalog": ModelParams,
        "weights": WeightsParams,
        "catalog_weights": WeightsParams,
        "gate": GatePolicy,
        "label_errors": LabelErrorsParams,
        "resources": Resources,
        "serve": ServePolicy,
        "prediction_log": PredictionLogPolicy,
        "schedules": SchedulePolicy,
    }
    if len(location) == 1:
        return list(Params.model_fields)
    if location[0] == "gc":
        return list(GcPolicy.model_fields)
    if location[0] == "alerts":
        return list((AlertTarget if len(location) > 2 else AlertsPolicy).model_fields)
    owner = owners.get(str(location[0]), Params)
    if owner is GatePolicy and len(location) > 3:
        owner = SlicePolicy if location[2] in ("slices", "challenge_sets") else Threshold
    return list(owner.model_fields)
