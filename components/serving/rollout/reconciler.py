"""Keeps a worker's repository as the state file says: loads a new champion beside the old one, and swaps.

The bundles were verified by the follower before it named them. They are verified again here, from the bytes that
are then run: hash, links, graph, signature, golden answers. Loading has a thread of its own, one version at a time.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from components.bundles.bundle import Bundle, precisions
from components.bundles.onnx_session import PROVIDERS
from components.serving import memory
from components.serving.engine.served_version import ServedVersion
from components.serving.engine.thread_pool import ThreadPool
from components.serving.rollout.canary import Canaries
from components.serving.rollout.challengers import Challengers
from components.serving.rollout.repository import Repository
from components.serving.rollout.state import ControlsFile, RejectedVersion, State, StateFile, Target
from components.serving.settings import Settings
from components.serving.telemetry.counters import Metrics
from data.errors import UserError

LOOK_S = 0.05
"""Seconds between looks at the state file: two calls of ``stat``."""

log = logging.getLogger("darkroom.serving")


class Reconciler:
    """Follows the state file, or serves fixed bundles.

    Attributes:
        settled: whether all that should be served was loaded or refused at least once.
    """

    def __init__(
        self,
        settings: Settings,
        repository: Repository,
        challengers: Challengers,
        canaries: Canaries,
        pool: ThreadPool,
        metrics: Metrics,
    ) -> None:
        self.settled = False
        self._settings, self._repository = settings, repository
        self._challengers, self._canaries = challengers, canaries
        self._pool, self._metrics = pool, metrics
        self._state_file, self._controls_file = StateFile(), ControlsFile()
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="loading")
        self._targets: dict[str, Target] = {}
        self._own: dict[str, RejectedVersion] = {}
        self._asked = 0
        self._state = State()

    async def run(self) -> None:
        """Follow until cancelled."""
        seen = None
        while True:
            marks = self._state_file.mark(), self._controls_file.mark()
            if marks != seen:
                seen = marks
                try:
                    await self._reconcile()
                except Exception:  # what is served goes on, and the next look may succeed
                    log.exception("following failed")
            self._measure()
            await asyncio.sleep(LOOK_S)

    async def ask(self, name: str, *, unloaded: bool) -> None:
        """Take ``name`` out, or put it back as the registry has it now; return when that was done.

        Raises:
            TimeoutError: it was not done within a minute.
        """
        self._own.pop(name, None)
        number = await asyncio.to_thread(self._controls_file.ask, name, unloaded=unloaded)
        async with asyncio.timeout(60):
            while self._asked < number:
                await asyncio.sleep(LOOK_S)

    def hint(self) -> None:
        """Let the registry be looked at now; it may block for a moment."""
        self._controls_file.hint()

    @property
    def refused(self) -> dict[str, RejectedVersion]:
        """What should be served and is not, by model: what the follower refused, and this worker itself."""
        return self._state.refused | self._own

    async def _reconcile(self) -> None:
        controls = self._controls_file.read()
        self._state = state = (
            self._fixed(controls.asked) if self._settings.bundles else self._state_file.read()
        )
        for name, target in sorted(state.champions.items()):
            if name not in controls.unloaded:
                await self._bring(name, target)
        for name in {s.name for s in self._repository.served()} | set(controls.unloaded):
            # A follower that begins anew knows nothing yet: that takes nothing away.
            gone = state.complete and name not in state.champions
            if gone or name in controls.unloaded:
                self._targets.pop(name, None)
                self._own.pop(name, None)
                self._repository.drop(name, unloaded=name in controls.unloaded)
        self._tell_refusals()
        tried = (
            state.challengers if self._settings.shadow else self._settings.canaries.keys() & state.on_trial
        )
        wanted = {name: state.challengers[name] for name in tried}
        await self._challengers.follow(wanted, state.champions, self._load)
        self._canaries.follow(state.on_trial)
        self.settled = self.settled or state.complete
        self._asked = state.asked

    def _fixed(self, asked: int) -> State:
        champions = {name: Target("1", folder) for name, folder in self._settings.bundles.items()}
        return State(champions=champions, asked=asked, complete=True)

    async def _bring(self, name: str, target: Target) -> None:
        """Serve ``target``, unless it is served or was refused here already."""
        if self._targets.get(name) == target:
            self._own.pop(name, None)
            return
        if name in self._own and self._own[name].sha256 == target.sha256:
            return
        self._repository.loading(name, target.version)
        try:
            served = await self._load(name, target)
        except UserError as error:
            self._own[name] = RejectedVersion(target.version, target.sha256, str(error))
            log.error("refused", extra={"model": name, "version": target.version, "reason": str(error)})
            return
        self._repository.swap(served)
        self._targets[name] = target
        self._own.pop(name, None)
        log.info("swapped in", extra={"model": name, "version": target.version, "sha256": target.sha256})
        del served
        self._loader.submit(_release)

    async def _load(self, name: str, target: Target) -> ServedVersion:
        """Load and verify a version.

        Raises:
            UserError: it is not good.
        """
        fixed = bool(self._settings.bundles)
        folder = Path(target.sha256) if fixed else target.folder
        loop = asyncio.get_running_loop()
        bundle = await loop.run_in_executor(
            self._loader, self._open, name, folder, None if fixed else target.sha256
        )
        settings = self._settings.of(name)
        served = ServedVersion(name, target.version, bundle, settings, self._pool, self._metrics)
        served.promoted_at = target.promoted_at
        return served

    def _open(self, name: str, folder: Path, sha256: str | None) -> Bundle:
        """Open a bundle, warm it and compare its golden answers, in the loading thread."""
        bundle = _on_device(name, folder, self._settings)
        if sha256 not in (None, bundle.sha256):
            raise UserError(f"{folder}: holds the bundle {bundle.sha256[:12]}, not {sha256[:12]}.")
        bundle.check_golden()
        return bundle

    def _tell_refusals(self) -> None:
        refused = self.refused
        for name in self._repository.refused().keys() - refused.keys():
            self._repository.forgive(name)
        for name, refusal in refused.items():
            self._repository.refuse(name, refusal)
        self._metrics.refused.values = {(n, r.version): 1 for n, r in refused.items()}

    def _measure(self) -> None:
        looked = self._state_file.looked()
        if not self._settings.bundles:
            self._metrics.registry_up.set(0 if self._state.error or not looked else 1)
            if looked:
                self._metrics.registry_age.set(round(time.time() - looked, 1))
        for served in self._repository.served():
            self._metrics.waiting.set(served.queue.waiting, *served.labels)
            served.queue.expire()


def _on_device(name: str, folder: Path, settings: Settings) -> Bundle:
    """Open a bundle in the precision that its model is to be served in, where it has it and a CPU computes."""
    bundle = _opened(folder, settings)
    wanted, known = settings.of(name).precision, precisions(bundle.description)
    if wanted == bundle.precision or bundle.graph.providers[0] not in PROVIDERS["cpu"]:
        return bundle
    if wanted not in known:
        told = {"model": name, "reason": f"carries no variant {wanted}: {', '.join(known)}"}
        log.warning("FP32 answers", extra=told)
        return bundle
    return Bundle.open(folder, threads=settings.threads, precision=wanted)


def _opened(folder: Path, settings: Settings) -> Bundle:
    try:
        return Bundle.open(folder, device=settings.device, threads=settings.threads)
    except UserError as error:
        if settings.device == "cpu" or not settings.allow_cpu or not str(error).startswith("device"):
            raise
        log.warning("the CPU computes in place of the GPU", extra={"reason": str(error)})
        return Bundle.open(folder, threads=settings.threads)


def _release() -> None:
    """Give the memory of a version that was swapped out back to the system."""
    gc.collect()
    memory.give_back()
