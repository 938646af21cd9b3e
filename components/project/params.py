"""``params.yaml``: which data sets and models the project has, and what each must reach to be promoted."""

from __future__ import annotations

import re
import sys
import zoneinfo
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from data import yaml_file
from data.errors import UserError, nearest

FILE = Path("params.yaml")
KEPT = ("generators", "models", "fine_tuned", "pretrained")
"""The sections of models that the pipeline keeps up to date."""

OLD_CATALOG = "shelf"
"""What the section ``catalog`` was called: read for one release more."""

NAME = re.compile(r"\w[\w-]*")
"""Names of data sets and models: they stand in paths, addresses, stages of DVC and command lines."""

StageName = Literal["ingest", "validate", "prepare", "judge", "weights", "train", "evaluate", "export"]


class ModelParams(BaseModel):
    """One entry of ``generators:``, ``models:`` or ``fine_tuned:``.

    Attributes:
        family: a folder of ``models/``.
        base: of ``fine_tuned:`` and ``pretrained:``, the entry whose weights this one starts from; None elsewhere.
        dataset: an entry of ``datasets:``.
        preset: ``quick`` (two CPU cores, up to about a minute) or ``full`` (one GPU).
        overrides: settings of the family's ``Config`` in place of the preset's.
        seed: seeds every random draw of the training.
        device: ``auto`` takes a GPU where there is one; ``cuda`` fails where there is none.
        threads: CPU threads of one training. Sums in another order give other bits: it is part of the recipe.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: str
    base: str | None = None
    dataset: str
    preset: Literal["quick", "full"] = "quick"
    overrides: dict[str, Any] = Field(default_factory=dict)
    seed: int = Field(default=0, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(default=1, ge=1)


class WeightsParams(BaseModel):
    """One entry of ``weights:``: what others have trained, which a model of ``pretrained:`` names as its ``base``.

    Attributes:
        source: a file (``.safetensors``, ``.pth``), a folder as transformers writes it, ``package:NAME/PATH`` in an
            installed Python package, or a name on the Hugging Face hub (``name@revision`` pins it).
        sha256: what is pinned: the file's SHA-256, or of weights in several files that of their digests. The stage
            ``weights`` says what it is where it is missing.
        licence: under which they may be used; it goes with every bundle that is made from them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(min_length=1)
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    licence: str = Field(min_length=1)


class Threshold(BaseModel):
    """An absolute bound on one metric of ``metrics.json``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_least: float | None = Field(default=None, allow_inf_nan=False)
    at_most: float | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _bounds_something(self) -> Threshold:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a threshold needs at_least or at_most")
        if None not in (self.at_least, self.at_most) and self.at_least > self.at_most:
            raise ValueError(f"no number is at least {self.at_least:g} and at most {self.at_most:g}")
        return self


class GatePolicy(BaseModel):
    """One entry of ``gate:``: what a version must reach to become champion.

    Attributes:
        thresholds: metric name to bound. Without any the model is never promoted.
        margin: how much worse than the champion the primary metric may be and still count as no worse, in the
            metric's own unit; the whole paired interval must lie above it.
        class_margin: the same for each class.
        max_latency_ms: bound on the median time in which a fresh server answers one golden example.
        max_memory_mb: bound on the resident memory of that server, in MiB.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    thresholds: dict[str, Threshold] = Field(default_factory=dict)
    margin: float = Field(default=0.01, ge=0)
    class_margin: float = Field(default=0.1, ge=0)
    max_latency_ms: float = Field(default=100.0, gt=0)
    max_memory_mb: float = Field(default=2048.0, gt=0)


class ServePolicy(BaseModel):
    """One entry of ``serve:``: bounds of a model's queue in the server. What is None is as for every model.

    Attributes:
        max_batch, max_rows, max_queue, max_wait_ms, batching: see ``components/serving/settings.py``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    max_batch: int | None = Field(default=None, gt=0)
    max_rows: int | None = Field(default=None, gt=0)
    max_queue: int | None = Field(default=None, gt=0)
    max_wait_ms: float | None = Field(default=None, gt=0)
    batching: bool | None = None


class SchedulePolicy(BaseModel):
    """One entry of ``schedules:``: when ``darkroom schedule`` retrains, and what.

    Attributes:
        cron: when, as cron has it: minute, hour, day of the month, month, day of the week.
        timezone: whose clock it means, by its IANA name such as ``Europe/Berlin``.
        models: entries of ``models:``; all of them when empty.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cron: str
    timezone: str = "UTC"
    models: tuple[str, ...] = ()

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        known = zoneinfo.available_timezones()
        if name not in known:
            raise ValueError(f"no time zone {name!r}.{nearest(name, known)}")
        return name


class Params(BaseModel):
    """The whole of ``params.yaml``.

    Attributes:
        datasets: data sets that the pipeline keeps up to date, each with a folder in ``data/``; and what the ingest of
            each reads, which is the DVC dep that orders it after the data set that it is derived from.
        judges: data sets that have a judge: those of ``generators`` and ``fine_tuned``.
        generators: models that the pipeline keeps up to date, those that the judge of their data set measures.
        models: those that need no judge. Sections are what they are because DVC gives every item of one the same deps.
        fine_tuned: those that start from the whole of one of ``generators`` or ``models``.
        pretrained: those that fit weights into a network of their own: of ``weights``, or of one of ``models``.
        weights: what others have trained.
        gate: promotion policy of each model.
        catalog: ready-made entries that ``darkroom run NAME`` moves to the section they belong to.
        catalog_weights: weights that those start from: what is used of them is written to ``weights``.
        serve: bounds of a model's queue in the server, in place of the defaults.
        schedules: when ``darkroom schedule`` retrains.
        time_limits: minutes that one run of a stage may take, by stage (``train: 600``), in place of the defaults.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    datasets: dict[str, str]
    judges: tuple[str, ...] = ()
    generators: dict[str, ModelParams] = Field(default_factory=dict)
    models: dict[str, ModelParams] = Field(default_factory=dict)
    fine_tuned: dict[str, ModelParams] = Field(default_factory=dict)
    pretrained: dict[str, ModelParams] = Field(default_factory=dict)
    weights: dict[str, WeightsParams] = Field(default_factory=dict)
    gate: dict[str, GatePolicy] = Field(default_factory=dict)
    catalog: dict[str, ModelParams] = Field(default_factory=dict)
    catalog_weights: dict[str, WeightsParams] = Field(default_factory=dict)
    serve: dict[str, ServePolicy] = Field(default_factory=dict)
    schedules: dict[str, SchedulePolicy] = Field(default_factory=dict)
    time_limits: dict[StageName, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)

    @property
    def all_models(self) -> dict[str, ModelParams]:
        """``generators``, ``models``, ``fine_tuned`` and ``pretrained``."""
        return self.generators | self.models | self.fine_tuned | self.pretrained

    def model(self, name: str) -> ModelParams:
        """Return the entry of ``generators:``, ``models:`` or ``fine_tuned:`` called ``name``.

        Raises:
            UserError: there is none.
        """
        if name not in self.all_models:
            raise UserError(f"{FILE}: no model {name!r} under 'models'.{nearest(name, self.all_models)}")
        return self.all_models[name]

    def where(self, name: str) -> str:
        """Return where a message says that the entry of ``name`` is: ``params.yaml: models.digits-cnn``."""
        return f"{FILE}: {next(key for key in (*KEPT, 'catalog') if name in getattr(self, key))}.{name}"

    def stage(self, kind: str, name: str) -> str:
        """Return what DVC calls a stage of the model ``name``, as ``train_generators@digits-vae``."""
        section = next(key for key in KEPT if name in getattr(self, key))
        return f"{kind}@{name}" if section == "models" else f"{kind}_{section}@{name}"


class _ServeAlone(BaseModel):
    """``serve:`` without the other sections, which a server that only asks the registry has no use for."""

    serve: dict[str, ServePolicy] = Field(default_factory=dict)


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
    for section in ("datasets", *KEPT, "weights", "catalog", "catalog_weights", "schedules"):
        for name in getattr(params, section):
            if not NAME.fullmatch(name):
                raise UserError(
                    f"{path}: {section}: {name!r}: a name takes letters, digits, '-' and '_', and begins with no '-'."
                )


def _check_names(path: Path, params: Params) -> None:
    for section in (*KEPT, "catalog"):
        for name, model in getattr(params, section).items():
            where = f"{path}: {section}.{name}"
            if model.family not in families():
                raise UserError(
                    f"{where}.family: no family {model.family!r}.{nearest(model.family, families())}"
                )
            known = _dataset_folders() if section == "catalog" else params.datasets
            if model.dataset not in known:
                raise UserError(
                    f"{where}.dataset: no data set {model.dataset!r}.{nearest(model.dataset, known)}"
                )
            _check_base(where, section, model, params)
    for name in params.datasets:
        if name not in _dataset_folders():
            raise UserError(
                f"{path}: datasets: no data set {name!r} in data/.{nearest(name, _dataset_folders())}"
            )
    for section in ("gate", "serve"):
        for name in getattr(params, section):
            if name not in {*params.all_models, *params.catalog}:
                raise UserError(f"{path}: {section}.{name}: no such model.{nearest(name, params.all_models)}")
    for schedule, policy in params.schedules.items():
        for name in policy.models:
            if name not in params.all_models:
                where = f"{path}: schedules.{schedule}.models"
                known = nearest(name, params.all_models)
                raise UserError(f"{where}: no model {name!r} under 'models'.{known}")
    for first, second in combinations((*KEPT, "weights"), 2):
        for name in getattr(params, first).keys() & getattr(params, second).keys():
            raise UserError(f"{path}: {name!r} is there twice, under {first!r} and under {second!r}.")
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
        "serve": ServePolicy,
        "schedules": SchedulePolicy,
    }
    if len(location) == 1:
        return list(Params.model_fields)
    owner = owners.get(str(location[0]), Params)
    if owner is GatePolicy and len(location) > 3:
        owner = Threshold
    return list(owner.model_fields)
