"""The smoke test of a bundle before it is promoted: the server that would serve it is started, and asked over HTTP.

Other work on the machine stretches the time of an answer and never shortens it. So the time is measured in several
tries, of which the best counts, and beside the clock stands what the server's processor worked.
"""

from __future__ import annotations

import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import psutil

from components.bundles.bundle import Bundle
from components.bundles.signature import Arrays
from components.serving import child
from components.serving.settings import Settings
from components.serving.v2 import tensors
from data.errors import UserError

_ROOT = Path(__file__).parents[2]
_START_S = 120
_ANSWER_S = 120
_TRIES = 5
_REPEATS = 50
_TRY_S = 2.0


@dataclass(frozen=True)
class SmokeTest:
    """What was measured.

    Attributes:
        median_latency_ms: of one golden example, over HTTP; the best of the tries.
        processor_ms: what the server's processors worked for an answer in that try.
        tries: how many there were; one is enough where it is within the limit.
        memory_mb: resident memory of the server's process after all answers.
        start_s: seconds from the start of the process to its being ready.
    """

    median_latency_ms: float
    processor_ms: float
    tries: int
    memory_mb: float
    start_s: float


def run(bundle: Bundle, max_latency_ms: float) -> SmokeTest:
    """Serve ``bundle`` in a fresh process, compare its golden answers, and measure.

    An answer that takes longer than ``max_latency_ms`` is timed again.

    Raises:
        UserError: it is not served, or its golden answers are wrong.
    """
    name, started = bundle.description["name"], time.monotonic()
    with _server(name, bundle.folder.absolute()) as (process, port):
        start_s = time.monotonic() - started
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)
        sha256 = _get(connection, f"/v2/models/{quote(name)}")["parameters"]["bundle_sha256"]
        if sha256 != bundle.sha256:
            raise UserError(f"{bundle.folder}: was changed while the gate looked at it.")
        inputs, _ = bundle.golden()
        bundle.check_answers(_infer(connection, name, inputs))
        server, one = psutil.Process(process.pid), _one(inputs)
        latency = best_median(
            lambda: _infer(connection, name, one), lambda: sum(server.cpu_times()[:2]), max_latency_ms
        )
        memory = server.memory_info().rss / 2**20
        connection.close()
    return SmokeTest(*latency, memory, start_s)


@contextmanager
def _server(name: str, folder: Path) -> Iterator[tuple[subprocess.Popen, int]]:
    """Start a worker with one bundle; yield it and its port when the bundle is served."""
    settings = Settings(port=0, bundles={name: str(folder)})
    command = [sys.executable, "-m", "components.serving.worker", json.dumps(settings.to_json())]
    environment = os.environ | {"PYTHONPATH": str(_ROOT)}
    # In a folder of its own: the state of a server that serves this project is none of its business.
    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryFile("w+") as log:
        process = child.start(command, place, environment, log)
        late = threading.Timer(_START_S, process.kill)
        late.start()
        try:
            line = process.stdout.readline()
            if not line or not json.loads(line)["models"]:
                log.seek(0)
                raise UserError(_reason(log.read()) or f"it was not ready within {_START_S} s")
            yield process, json.loads(line)["port"]
        finally:
            late.cancel()
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()


def _reason(log: str) -> str:
    """Return why a worker did not serve its bundle, from what it logged."""
    lines = log.strip().splitlines()
    for line in lines:
        if line.startswith("{") and (reason := json.loads(line).get("reason")):
            return reason
    return lines[-1] if lines else ""


def _get(connection: http.client.HTTPConnection, path: str) -> dict[str, Any]:
    connection.request("GET", path)
    response = connection.getresponse()
    answer = json.loads(response.read())
    if response.status != 200:
        raise UserError(f"the server said {response.status}: {answer['error']}")
    return answer


def _infer(connection: http.client.HTTPConnection, name: str, inputs: Mapping[str, np.ndarray]) -> Arrays:
    raw = [tensors.to_bytes(values) for values in inputs.values()]
    described = [
        {
            "name": tensor,
            "datatype": tensors.datatype_of(values),
            "shape": values.shape,
            "parameters": {"binary_data_size": len(content)},
        }
        for (tensor, values), content in zip(inputs.items(), raw, strict=True)
    ]
    head = json.dumps({"inputs": described, "parameters": {"binary_data_output": True}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    connection.request("POST", f"/v2/models/{quote(name)}/infer", b"".join((head, *raw)), headers)
    response = connection.getresponse()
    body = memoryview(response.read())
    if response.status != 200:
        raise UserError(f"the server said {response.status}: {json.loads(bytes(body))['error']}")
    start = int(response.headers["Inference-Header-Content-Length"])
    outputs = {}
    for entry in json.loads(bytes(body[:start]))["outputs"]:
        end = start + entry["parameters"]["binary_data_size"]
        outputs[entry["name"]] = tensors.from_bytes(
            entry["name"], entry["datatype"], tuple(entry["shape"]), body[start:end]
        )
        start = end
    return outputs


def _one(inputs: Arrays) -> Arrays:
    """Return one of the golden examples."""
    if "count" in inputs:
        return inputs | {"count": np.ones(1, dtype=np.int64)}
    return {name: values[:1] for name, values in inputs.items()}


def best_median(
    ask: Callable[[], Any], processor_s: Callable[[], float], limit_ms: float
) -> tuple[float, float, int]:
    """Time ``ask`` in up to five tries, and no more once one is within ``limit_ms``.

    Args:
        ask: waits for an answer.
        processor_s: the seconds that the server's processors have worked so far.
        limit_ms: milliseconds.

    Returns:
        The best median in milliseconds, the processors' milliseconds an answer in that try, and the number of tries.
    """
    measured: list[tuple[float, float]] = []
    while len(measured) < _TRIES and (not measured or min(measured)[0] > limit_ms):
        times: list[float] = []
        worked, until = processor_s(), time.monotonic() + _TRY_S
        while len(times) < _REPEATS and (len(times) < 3 or time.monotonic() < until):
            started = time.perf_counter()
            ask()
            times.append(1e3 * (time.perf_counter() - started))
        measured.append((statistics.median(times), 1e3 * (processor_s() - worked) / len(times)))
    return *min(measured), len(measured)
