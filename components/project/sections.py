"""The sections of ``params.yaml``: which data sets and models the project has, and what each must reach."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_serializer, model_validator

from data.errors import UserError, nearest

FILE = Path("params.yaml")
KEPT = ("generators", "models", "fine_tuned", "pretrained")
"""The sections of models that the pipeline keeps up to date."""

ENGINES = ("local", "isolated")
"""Where stages run: here; or each in a workspace of its own, which has only what git and the DVC remote hold. The third
is a Ray cluster, ``ray://HEAD:10001``, on whose nodes such workspaces are."""

RAY = r"ray://[^/:\s]+:\d+"

AlertKind = Literal[
    "failure", "refusal", "approval", "promotion", "rollback", "not_served", "trial", "labels", "schedule"
]
"""What people can be told of."""

StageName = Literal[
    "ingest", "validate", "prepare", "labels", "judge", "weights", "train", "evaluate", "export"
]


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
        threads: CPU threads of one training, of each process where it has several GPUs. Sums in another order give
            other bits: it is part of the recipe.
        gpus: how many GPUs of one machine train it together, each on its part of every batch. Part of the recipe, too.
        variants: precisions in which export makes the graph besides FP32.
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
    gpus: int = Field(default=1, ge=1)
    variants: tuple[Literal["int8"], ...] = ()

    @field_validator("variants")
    @classmethod
    def _are_named_once(cls, variants: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(variants)) < len(variants):
            raise ValueError("a variant is named twice")
        return variants

    def wrong_variant(self, known: Collection[str]) -> str:
        """Return what is wrong with ``variants`` where the family declares ``known``; empty where nothing is."""
        for one in self.variants:
            if one not in known:
                has = f"has {', '.join(known)} alone" if known else "has no variants of reduced precision"
                return f"variants: {one!r}: the family {self.family} {has}."
        return ""

    @model_serializer(mode="wrap")
    def _without_new_keys(self, write: Any) -> dict[str, Any]:
        """Leave out the newest keys where they are not set: the hash of the settings stays what it was."""
        unset = {"gpus": self.gpus == 1, "variants": not self.variants}
        return {key: value for key, value in write(self).items() if not unset.get(key)}

    @model_validator(mode="after")
    def _has_a_device_for_its_gpus(self) -> ModelParams:
        if self.gpus > 1 and self.device == "cpu":
            raise ValueError(f"gpus: {self.gpus} and device: cpu exclude each other: leave one of them out")
        return self


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


class LabelErrorsParams(BaseModel):
    """One entry of ``label_errors:``: how wrong labels of a data set are looked for.

    Attributes:
        folds: parts of the examples, of each of which a network learns nothing that is then asked of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    folds: int = Field(default=5, ge=3, le=20)


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


class SlicePolicy(BaseModel):
    """What is asked of a slice or a challenge set, or of all of one name, in the primary metric's own unit.

    Attributes:
        at_least: fails where the slice's whole interval is below.
        at_most: fails where it is above.
        margin: in place of ``slice_margin`` or ``challenge_margin``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_least: float | None = Field(default=None, allow_inf_nan=False)
    at_most: float | None = Field(default=None, allow_inf_nan=False)
    margin: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _asks_something(self) -> SlicePolicy:
        if self.at_least is None and self.at_most is None and self.margin is None:
            raise ValueError("a slice is asked for at_least, at_most or a margin")
        if None not in (self.at_least, self.at_most) and self.at_least > self.at_most:
            raise ValueError(f"no number is at least {self.at_least:g} and at most {self.at_most:g}")
        return self


class TrialPolicy(BaseModel):
    """What a version has to show on requests of the running server, beside the champion.

    Attributes:
        requests: how many it has to answer at least.
        agreement: share of its answers that agree with the champion's; shown to be at least this.
        failures: share of requests that it fails on, at most.
        latency: its computing time in the champion's, at most, on more than half of the requests, which is shown too;
            None for any. The server counts in steps (``RATIOS`` in ``components/serving/telemetry/counters.py``): the
            next one below counts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: int = Field(default=500, ge=1)
    agreement: float = Field(default=0.98, gt=0, lt=1)
    failures: float = Field(default=0.0, ge=0, lt=1)
    latency: float | None = Field(default=1.2, ge=0.5, allow_inf_nan=False)

    @property
    def in_all(self) -> int:
        """Requests that it has to answer."""
        return self.requests


class CanaryPolicy(TrialPolicy):
    """What a version has to show while it answers a share of the requests, in place of copied ones.

    Attributes:
        requests: how many it has to answer at each step at least.
        steps: shares of the requests in per cent, rising.
        key: the header (of gRPC the metadata) whose value says who asks, so that all of theirs go to one version;
            without it each request is another's.
    """

    requests: int = Field(default=200, ge=1)
    steps: tuple[Annotated[float, Field(gt=0, le=100)], ...] = Field(default=(1, 5, 25, 50), min_length=1)
    key: str = Field(default="", pattern=r"^[\w-]*$")

    @field_validator("steps")
    @classmethod
    def _rise(cls, steps: tuple[float, ...]) -> tuple[float, ...]:
        if list(steps) != sorted(set(steps)):
            raise ValueError("each step is more than the one before")
        return steps

    @property
    def in_all(self) -> int:
        """Requests that it has to answer in all steps."""
        return self.requests * len(self.steps)


class GatePolicy(BaseModel):
    """One entry of ``gate:``: what a version must reach to become champion.

    Attributes:
        thresholds: metric name to bound. Without any the model is never promoted.
        margin: how much worse than the champion the primary metric may be and still count as no worse, in the
            metric's own unit; the whole paired interval must lie above it.
        class_margin: how much worse a class may be; it fails where the whole interval lies below.
        slice_margin: the same for each slice of the test split (``slices:`` of ``dataset.yaml``), whose intervals hold
            all together.
        slices: what more is asked of slices, by their names (``camera=old``, or ``camera`` for all of that column).
        challenge_margin: as ``slice_margin``, of ``challenge_sets:`` of ``dataset.yaml``.
        challenge_sets: what more is asked of challenge sets, by their names.
        max_latency_ms: bound on the median time in which a fresh server answers one golden example.
        max_memory_mb: bound on the resident memory of that server, in MiB.
        approval: ``required``: a version that every check speaks for waits until people approve it.
        by: who may approve or reject; everybody where it is empty.
        approvals: how many different people have to approve.
        expires: how long the gate's word waits for them: hours, days or weeks, as ``12h``, ``7d`` or ``2w``.
        shadow: a version that every check speaks for waits until it showed this on copied requests.
        canary: in place of these, until it showed this on a share of the requests, which it answers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    thresholds: dict[str, Threshold] = Field(default_factory=dict)
    margin: float = Field(default=0.01, ge=0)
    class_margin: float = Field(default=0.1, ge=0)
    slice_margin: float = Field(default=0.1, ge=0)
    slices: dict[str, SlicePolicy] = Field(default_factory=dict)
    challenge_margin: float = Field(default=0.1, ge=0)
    challenge_sets: dict[str, SlicePolicy] = Field(default_factory=dict)
    max_latency_ms: float = Field(default=100.0, gt=0)
    max_memory_mb: float = Field(default=2048.0, gt=0)
    approval: Literal["required"] | None = None
    by: tuple[str, ...] = ()
    approvals: int = Field(default=1, ge=1)
    expires: str = Field(default="7d", pattern=r"^[1-9]\d*[hdw]$")
    shadow: TrialPolicy | None = None
    canary: CanaryPolicy | None = None

    @property
    def trial(self) -> TrialPolicy | None:
        """What is asked of a version on requests of the running server; None where nothing is."""
        return self.canary or self.shadow

    @property
    def waits(self) -> timedelta:
        """How long the gate's word waits for people."""
        units = {"h": "hours", "d": "days", "w": "weeks"}
        return timedelta(**{units[self.expires[-1]]: int(self.expires[:-1])})

    @model_validator(mode="after")
    def _can_be_approved(self) -> GatePolicy:
        given = {"by", "approvals", "expires"} & self.model_fields_set
        if given and self.approval is None:
            raise ValueError(f"{min(given)} is about approvals, and none is needed: add approval: required")
        if self.by and len(set(self.by)) < self.approvals:
            raise ValueError(f"{self.approvals} approvals are needed, and 'by' names {len(set(self.by))}")
        return self

    @model_validator(mode="after")
    def _is_tried_once(self) -> GatePolicy:
        if self.shadow is not None and self.canary is not None:
            raise ValueError("a canary is compared with the champion, too: take shadow or canary")
        return self

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; the newest keys only where they are set, so that older decisions stand."""
        unset = GatePolicy()
        newest = ("slice_margin", "slices", "challenge_margin", "challenge_sets", "shadow", "canary")
        are_unset = {key for key in newest if getattr(self, key) == getattr(unset, key)}
        return self.model_dump(mode="json", exclude=are_unset)


class ServePolicy(BaseModel):
    """One entry of ``serve:``: bounds of a model's queue in the server. What is None is as for every model.

    Attributes:
        max_batch, max_rows, max_queue, max_wait_ms, batching, precision: see ``components/serving/settings.py``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    max_batch: int | None = Field(default=None, gt=0)
    max_rows: int | None = Field(default=None, gt=0)
    max_queue: int | None = Field(default=None, gt=0)
    max_wait_ms: float | None = Field(default=None, gt=0)
    batching: bool | None = None
    precision: Literal["fp32", "int8"] | None = None


class PredictionLogPolicy(BaseModel):
    """One entry of ``prediction_log:``: what the server remembers of its answers, and for how long.

    Attributes:
        share: of all requests, in [0, 1].
        below: beside these, requests whose lowest confidence is below this; None for none.
        disagreement: beside these, copied requests on which a challenger disagreed.
        keep: ``answers``, or the ``inputs``, too.
        max_mb: most MiB on the disk; the oldest goes first.
        days: for how many.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: float = Field(default=0.1, ge=0, le=1)
    below: float | None = Field(default=None, gt=0, le=1)
    disagreement: bool = True
    keep: Literal["answers", "inputs"] = "answers"
    max_mb: float = Field(default=1024.0, gt=0, allow_inf_nan=False)
    days: float = Field(default=30.0, gt=0, allow_inf_nan=False)


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


class AlertTarget(BaseModel):
    """One entry of ``to`` of ``alerts:``.

    Attributes:
        url: where to send, as apprise has it (``slack://``, ``mailto://``, ``json://``, ...); ``${NAME}`` in it is the
            variable ``NAME`` of the environment, where secrets belong.
        events: what is told there; everything where it is empty.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(min_length=1)
    events: tuple[AlertKind, ...] = ()

    def wants(self, kind: str) -> bool:
        """Whether an event of ``kind`` is told there."""
        return not self.events or kind in self.events


class AlertsPolicy(BaseModel):
    """``alerts:``: who is told of what happens while nobody looks.

    Attributes:
        to: receivers, by names that people give them.
        late: minutes after its time at which a schedule counts as one that did not run.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    to: dict[str, AlertTarget] = Field(default_factory=dict)
    late: float = Field(default=60.0, gt=0, allow_inf_nan=False)


class Resources(BaseModel):
    """One entry of ``resources:``: what a node of a cluster must have for a stage. Nothing of it changes results.

    Attributes:
        gpus: GPUs that the stage alone sees; less than one is a share of one. Where it is not said, a training has the
            ``gpus`` of its entry and an evaluation one, if ``device`` is ``cuda``, or ``auto`` on a cluster with any.
        memory_gb: GB that Ray keeps free for it.
        where: a resource of that name, which some nodes were started with, by ``ray start --resources``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    gpus: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    memory_gb: float = Field(default=0, ge=0, allow_inf_nan=False)
    where: str = Field(default="", pattern=r"^[\w.-]*$")

    @field_validator("gpus")
    @classmethod
    def _are_whole(cls, gpus: float | None) -> float | None:
        if gpus is not None and gpus > 1 and gpus % 1:
            raise ValueError("a stage has a share of one GPU, or whole ones")
        return gpus


class GcPolicy(BaseModel):
    """``gc:``: what ``darkroom gc`` keeps besides what is in use. What one of the two keeps is kept.

    Attributes:
        keep_versions: of each model, as many of the last versions, and as many of the last champions.
        keep_days: days for which versions, commits, logs and resume points are kept.
        users: folders of all projects that share a DVC cache or remote with this one, which is ``.``. Without it
            neither a remote nor a cache outside of the project is touched.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep_versions: int = Field(default=5, ge=1)
    keep_days: float = Field(default=30.0, ge=0, allow_inf_nan=False)
    users: tuple[Path, ...] = ()


class Params(BaseModel):
    """The whole of ``params.yaml``.

    Attributes:
        datasets: data sets that the pipeline keeps up to date, each with a folder in ``data/``; and what the ingest of
            each reads, which is the DVC dep that orders it after the data set that it is derived from.
        judges: data sets that have a judge: those of ``generators`` and ``fine_tuned``.
        label_errors: data sets whose labels are looked at.
        generators: models that the pipeline keeps up to date, those that the judge of their data set measures.
        models: those that need no judge. Sections are what they are because DVC gives every item of one the same deps.
        fine_tuned: those that start from the whole of one of ``generators`` or ``models``.
        pretrained: those that fit weights into a network of their own: of ``weights``, or of one of ``models``.
        weights: what others have trained.
        gate: promotion policy of each model.
        catalog: ready-made entries that ``darkroom run NAME`` moves to the section they belong to.
        catalog_weights: weights that those start from: what is used of them is written to ``weights``.
        serve: bounds of a model's queue in the server, in place of the defaults.
        prediction_log: what the server remembers of its answers; nothing of models without an entry.
        schedules: when ``darkroom schedule`` retrains.
        engine: where stages run, one of :data:`ENGINES` or a Ray cluster.
        resources: what stages need of a cluster's nodes, by a kind of stage, or by a model for its training and its
            evaluation. What is said of the model goes before.
        time_limits: minutes that one run of a stage may take, by stage (``train: 600``), in place of the defaults.
        gc: what ``darkroom gc`` keeps.
        alerts: who is told of failures, refusals and moves.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    datasets: dict[str, str]
    judges: tuple[str, ...] = ()
    label_errors: dict[str, LabelErrorsParams] = Field(default_factory=dict)
    generators: dict[str, ModelParams] = Field(default_factory=dict)
    models: dict[str, ModelParams] = Field(default_factory=dict)
    fine_tuned: dict[str, ModelParams] = Field(default_factory=dict)
    pretrained: dict[str, ModelParams] = Field(default_factory=dict)
    weights: dict[str, WeightsParams] = Field(default_factory=dict)
    gate: dict[str, GatePolicy] = Field(default_factory=dict)
    catalog: dict[str, ModelParams] = Field(default_factory=dict)
    catalog_weights: dict[str, WeightsParams] = Field(default_factory=dict)
    serve: dict[str, ServePolicy] = Field(default_factory=dict)
    prediction_log: dict[str, PredictionLogPolicy] = Field(default_factory=dict)
    schedules: dict[str, SchedulePolicy] = Field(default_factory=dict)
    engine: str = "local"
    resources: dict[str, Resources] = Field(default_factory=dict)
    time_limits: dict[StageName, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    gc: GcPolicy = GcPolicy()
    alerts: AlertsPolicy = AlertsPolicy()

    @field_validator("engine")
    @classmethod
    def _is_engine(cls, engine: str) -> str:
        if engine not in ENGINES and not re.fullmatch(RAY, engine):
            raise ValueError(f"no engine {engine!r}.{nearest(engine, (*ENGINES, 'ray://HEAD:10001'))}")
        return engine

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
