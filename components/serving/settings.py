"""What the server is told: where it listens, whom it serves, how much it takes."""

from __future__ import annotations

import ipaddress
import shlex
from dataclasses import asdict, dataclass, field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from components.serving.rollout.trial import Demand
from data import cores
from data.errors import UserError, nearest

DEVICES = ("cpu", "cuda")
FOLLOWED = ("aliases", "ledger")


@dataclass(frozen=True)
class ModelSettings:
    """Bounds of one model's queue.

    Attributes:
        max_batch: most rows (images) of requests that are computed together.
        max_rows: most rows that one request may hold, or count that it may ask a generator for.
        max_queue: most requests that wait; more are refused with 503.
        max_wait_ms: longest that a request waits for its turn; then it is refused with 503.
        batching: whether requests that wait are computed together.
        precision: ``fp32``, or the variant that answers on a CPU where a version carries it.
    """

    max_batch: int = 64
    max_rows: int = 256
    max_queue: int = 256
    max_wait_ms: float = 2000.0
    batching: bool = True
    precision: str = "fp32"


@dataclass(frozen=True)
class CanarySettings:
    """What a challenger that the gate put on trial has to show while it answers a share of the requests.

    Attributes:
        requests: how many it answers at each step.
        agreement, failures, latency: what is asked of it (:class:`~components.serving.rollout.trial.Demand`).
        steps: shares of the requests in per cent, rising.
        key: the header whose value says who asks; by the request's id where it is empty or not given.
    """

    requests: int
    agreement: float
    failures: float
    latency: float | None
    steps: tuple[float, ...]
    key: str = ""

    @property
    def demand(self) -> Demand:
        """What is asked of it in all."""
        return Demand(self.requests * len(self.steps), self.agreement, self.failures, self.latency)


@dataclass(frozen=True)
class LogSettings:
    """What is remembered of a model's answers.

    Attributes:
        share, below, disagreement, keep, max_mb, days: see ``PredictionLogPolicy`` in
            ``components/project/sections.py``.
    """

    share: float
    below: float | None
    disagreement: bool
    keep: str
    max_mb: float
    days: float


@dataclass(frozen=True)
class Settings:
    """All settings of a server.

    Attributes:
        host: address to listen on. Others than loopback need ``tokens``.
        port: TCP port; 0 takes a free one.
        grpc_port: TCP port of gRPC; 0 takes a free one, None is for no gRPC.
        bundles: fixed bundles by model name, served in place of the registry's champions.
        device: ``cpu`` or ``cuda``; a GPU that is not there is an error, unless ``allow_cpu``.
        allow_cpu: whether the CPU may compute where ``cuda`` is asked for and there is no GPU.
        workers: processes that answer.
        threads: CPU threads of one answer.
        computing: answers computed at once in one worker; 0 fits the cores.
        poll_s: seconds between looks at the registry.
        follow: what says which version is champion: ``aliases``, whoever moved them, or the ``ledger``, which has the
            moves of the gate and of ``promote`` and ``rollback``.
        grace_s: seconds that requests have to be answered after SIGTERM.
        request_s: seconds in which a request has to arrive whole; then it is refused, and its connection ends.
        max_body: most bytes of a request.
        max_held: most bytes of large requests in one worker, from their arrival to their answer; further ones are
            refused with 503, or wait and are then refused with RESOURCE_EXHAUSTED.
        max_connections: most connections of one worker; on further ones all but probes and operators get 503.
        tokens: file of hashed bearer tokens; without it everybody on this machine may ask.
        webhook_secret: file of the secret that signs MLflow's webhooks; without it none are taken.
        shadow: share in [0, 1] of the requests that the challenger answers as well, unseen.
        canaries: what challengers on trial have to show while they answer a share of the requests, by model.
        prediction_log: what is remembered of answers, by model; of others nothing.
        alerts: whether people are told of what the follower sees, as ``alerts:`` of ``params.yaml`` says.
        access_log: whether every request is logged; otherwise only those that were refused or failed.
        default: bounds of models that ``models`` does not name.
        models: bounds by model.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    grpc_port: int | None = None
    bundles: dict[str, str] = field(default_factory=dict)
    device: str = "cpu"
    allow_cpu: bool = False
    workers: int = 1
    threads: int = 1
    computing: int = 0
    poll_s: float = 2.0
    follow: str = "aliases"
    grace_s: float = 20.0
    request_s: float = 30.0
    max_body: int = 32 << 20
    max_held: int = 256 << 20
    max_connections: int = 1024
    tokens: str = ""
    webhook_secret: str = ""
    shadow: float = 0.0
    canaries: dict[str, CanarySettings] = field(default_factory=dict)
    prediction_log: dict[str, LogSettings] = field(default_factory=dict)
    alerts: bool = False
    access_log: bool = False
    default: ModelSettings = field(default_factory=ModelSettings)
    models: dict[str, ModelSettings] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not is_loopback(self.host) and not self.tokens:
            raise UserError(
                f"--host {self.host}: others than this machine may ask there: make a token first "
                "(darkroom serve-token NAME --file FILE) and name its file (--tokens FILE)."
            )
        if self.tokens and not Path(self.tokens).is_file():
            mend = f"darkroom serve-token NAME --file {shlex.quote(self.tokens)}"
            raise UserError(f"--tokens {self.tokens}: not found. Make it: {mend}")
        if self.grpc_port is not None and find_spec("grpc") is None:
            raise UserError(f"--grpc-port {self.grpc_port}: gRPC is not installed: pip install -e '.[grpc]'")
        if self.webhook_secret and not _holds_something(Path(self.webhook_secret)):
            raise UserError(f"--webhook-secret {self.webhook_secret}: no file there, or an empty one.")
        if self.device not in DEVICES:
            raise UserError(f"--device {self.device}: no such device.{nearest(self.device, DEVICES)}")
        if self.follow not in FOLLOWED:
            raise UserError(
                f"--follow {self.follow}: can be aliases or ledger.{nearest(self.follow, FOLLOWED)}"
            )
        if not 0 <= self.shadow <= 1:
            raise UserError(f"--shadow {self.shadow}: a share of the requests, from 0 to 1.")
        if self.request_s <= 0:
            raise UserError(f"--request-timeout {self.request_s:g}: seconds, more than 0.")
        for name in ("workers", "threads", "max_body", "max_held", "max_connections"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} {getattr(self, name)}: must be at least 1.")

    def of(self, model: str) -> ModelSettings:
        """Return the bounds of ``model``."""
        return self.models.get(model, self.default)

    @property
    def at_once(self) -> int:
        """Answers computed at once in one worker: all of them together keep the cores busy, and no more."""
        return self.computing or max(1, cores.available() // (self.threads * self.workers))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Settings:
        """Build from plain JSON values.

        Raises:
            UserError: a key is unknown, or a value is not possible.
        """
        for key in values.keys() - {entry.name for entry in fields(cls)}:
            raise UserError(f"serving: unknown setting {key!r}.{nearest(key, (f.name for f in fields(cls)))}")
        values = dict(values)
        values["default"] = ModelSettings(**values.get("default", {}))
        values["models"] = {name: ModelSettings(**model) for name, model in values.get("models", {}).items()}
        logged = values.get("prediction_log", {})
        values["prediction_log"] = {name: LogSettings(**model) for name, model in logged.items()}
        values["canaries"] = {
            name: CanarySettings(**canary | {"steps": tuple(canary["steps"])})
            for name, canary in values.get("canaries", {}).items()
        }
        return cls(**values)


def _holds_something(file: Path) -> bool:
    return file.is_file() and bool(file.read_bytes().strip())


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
