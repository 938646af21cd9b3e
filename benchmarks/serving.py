"""The server against MLflow's, LitServe, BentoML and mosec: the same graphs, the same machine, the same load.

    python -m benchmarks.serving [--models digits-mlp digits-vit] [--servers ...] [--seconds 5] [--json FILE]

Needs exported classifiers (``darkroom run digits-mlp digits-vit``) and ``wrk``, which Debian has. Each peer gets a
virtual environment of its own with pinned versions, made once under ``--environments``, and is run as its documents
recommend (``serving_peers/``): one process that computes, one thread of ONNX Runtime, batches of up to 64. The answers
of each server are compared with ONNX Runtime's before anything is timed. Then, by ``wrk`` with one thread:

* **idle**: one connection, one image a request: the median latency;
* **p99 <= 10 ms**: one image a request, over 1, 2, 4 ... 128 connections: the most requests per second among those
  loads whose 99th percentile is at most 10 ms;
* **rows**: 64 images a request over 4 connections, against a loop of ONNX Runtime alone at batches of 64.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.command import described, keep
from benchmarks.serving_peers.servers import ENVIRONMENTS, SERVERS, Graph, Place, Server
from data.cores import available

ROOT = Path(__file__).resolve().parent.parent
LOADS = (1, 2, 4, 8, 16, 32, 64, 128)
ROWS, ROWS_CONNECTIONS = 64, 4
P99_MS = 10.0
START_S = 120

LUA = """
local file = io.open("{body}", "rb")
wrk.method, wrk.body = "POST", file:read("*a")
{headers}
function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('\\n{{"requests": %d, "us": %d, "failed": %d, "p50_us": %d, "p99_us": %d}}\\n',
    summary.requests, summary.duration, failed, latency:percentile(50), latency:percentile(99)))
end
"""


def main() -> None:
    """Measure, print a table for each graph and JSON."""
    parser = described(__doc__)
    parser.add_argument("--models", nargs="+", default=["digits-mlp", "digits-vit"])
    parser.add_argument(
        "--servers", nargs="+", default=list(SERVERS), choices=list(SERVERS), metavar="SERVER"
    )
    parser.add_argument("--seconds", type=int, default=5, help="of each load")
    parser.add_argument(
        "--environments", type=Path, default=Path(tempfile.gettempdir()) / "darkroom-serving-peers"
    )
    parser.add_argument("--json", type=Path, help="file for the results, as they come")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is needed: apt-get install wrk")
    results: dict[str, Any] = {"cores": available(), "load_before": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory(prefix="darkroom-bench-") as scratch:
        for name in arguments.models:
            graph = load(name)
            bare = rows_of_bare_loop(graph, arguments.seconds)
            results[name] = {"bare loop": {"rows_per_s": bare}}
            for title in arguments.servers:
                server = SERVERS[title]
                python = environment(arguments.environments, server.kind)
                place = Place(graph, python, Path(scratch), free_port())
                results[name][title] = measured(server, place, arguments.seconds, bare)
                print(name, title, json.dumps(results[name][title]), file=sys.stderr, flush=True)
                keep(results, arguments.json)
            show(name, results[name])
    results["load_after"] = os.getloadavg()[0]
    print(json.dumps(results))


def load(name: str) -> Graph:
    """Return a bundle of this checkout with 64 random images."""
    folder = ROOT / "artifacts" / "bundles" / name
    if not folder.is_dir():
        sys.exit(f"{folder}: no bundle there: darkroom run {name}")
    description = json.loads((folder / "bundle.json").read_text())
    shape = (ROWS, *description["inputs"][0]["shape"][1:])
    classes = len(description["classes"])
    return Graph(name, folder, classes, np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def environment(folder: Path, kind: str) -> Path:
    """Return the Python of a peer's environment, which is made once."""
    if not kind:
        return Path(sys.executable)
    python, done = folder / kind / "bin" / "python", folder / kind / "done"
    if not done.exists():
        print(f"setting up {folder / kind}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder / kind], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *ENVIRONMENTS[kind]], check=True)
        done.touch()
    return python


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def rows_of_bare_loop(graph: Graph, seconds: int) -> float:
    """Return the rows per second of ONNX Runtime alone, at batches of 64."""
    session, count = graph.session(), 0
    session.run(None, {"image": graph.images})
    started = time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds:
        session.run(None, {"image": graph.images})
        count += ROWS
    return count / passed


def measured(server: Server, place: Place, seconds: int, bare: float) -> dict[str, Any]:
    """Return the numbers of one server: it is started, checked, asked and ended."""
    with running(server, place):
        one, many = server.body(place.graph.images[:1]), server.body(place.graph.images)
        check(server, place, *one, rows=1)
        check(server, place, *many, rows=ROWS)

        def load(request: tuple[bytes, dict[str, str]], connections: int, seconds: int) -> dict[str, float]:
            return attack(url(server, place), place.scratch, *request, connections, seconds)

        load(one, 8, 2)  # warm
        loads = {connections: load(one, connections, seconds) for connections in LOADS}
        rows = load(many, ROWS_CONNECTIONS, seconds)
    within = [load for load in loads.values() if load["p99_ms"] <= P99_MS and not load["failed"]]
    rows_per_s = ROWS * rows["per_s"]
    return {
        "idle_p50_ms": loads[1]["p50_ms"],
        "per_s_at_p99": max((load["per_s"] for load in within), default=0.0),
        "most_per_s": max(load["per_s"] for load in loads.values()),
        "rows_per_s": rows_per_s,
        "of_bare_loop": rows_per_s / bare,
        "failed": sum(load["failed"] for load in [*loads.values(), rows]),
        "loads": loads,
    }


@contextmanager
def running(server: Server, place: Place) -> Iterator[None]:
    """Run a server in a session of its own until the block ends; all of its processes end with it."""
    environment = os.environ | {"MODEL": str(place.graph.file), "OMP_NUM_THREADS": "1"}
    environment["BENTOML_DO_NOT_TRACK"] = "True"
    environment["PATH"] = f"{place.python.parent}{os.pathsep}{environment['PATH']}"
    environment.pop("PYTHONPATH", None)
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            server.command(place),
            cwd=place.scratch if server.kind else ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            wait_for(server, place, process)
            yield
        except Exception:
            log.seek(0)
            print(log.read().decode(errors="replace")[-3000:], file=sys.stderr)
            raise
        finally:
            end(process)


def end(process: subprocess.Popen) -> None:
    """End a server, in good order if it can, and whatever it leaves."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(15)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdin.close()


def wait_for(server: Server, place: Place, process: subprocess.Popen) -> None:
    """Wait until a server answers its first request."""
    body, headers = server.body(place.graph.images[:1])
    until = time.monotonic() + START_S
    while True:
        try:
            ask(url(server, place), body, headers)
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.2)


def url(server: Server, place: Place) -> str:
    """Return where a server is asked."""
    return f"http://127.0.0.1:{place.port}{server.path(place.graph)}"


def ask(url: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Return the response to one request."""
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as response:
        return response.read()


def check(server: Server, place: Place, body: bytes, headers: dict[str, str], rows: int) -> None:
    """Compare a server's answer with ONNX Runtime's."""
    graph = place.graph
    (expected,) = graph.session().run(["probabilities"], {"image": graph.images[:rows]})
    answer = server.answer(ask(url(server, place), body, headers), rows, graph.classes)
    np.testing.assert_allclose(answer, expected, atol=1e-4)


def attack(
    url: str, scratch: Path, body: bytes, headers: dict[str, str], connections: int, seconds: int
) -> dict[str, float]:
    """Ask as fast as answers come over ``connections`` connections; return requests per second and latencies."""
    content, script = scratch / "body", scratch / "load.lua"
    content.write_bytes(body)
    lines = "\n".join(f'wrk.headers["{name}"] = "{value}"' for name, value in headers.items())
    script.write_text(LUA.format(body=content, headers=lines))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", script, url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return {
        "requests": found["requests"],
        "per_s": 1e6 * found["requests"] / found["us"],
        "p50_ms": found["p50_us"] / 1e3,
        "p99_ms": found["p99_us"] / 1e3,
        "failed": found["failed"],
    }


def show(name: str, results: dict[str, dict[str, Any]]) -> None:
    """Print the table of one graph."""
    print(f"\n{name}: bare loop {results['bare loop']['rows_per_s']:,.0f} rows/s at batches of {ROWS}")
    print(f"{'':24}{'idle p50':>12}{'p99 <= 10 ms':>14}{'most':>10}{'rows/s':>12}{'of bare':>9}{'failed':>8}")
    for title, one in results.items():
        if title != "bare loop":
            print(
                f"{title:24}{one['idle_p50_ms']:9.2f} ms{one['per_s_at_p99']:12,.0f}/s{one['most_per_s']:8,.0f}/s"
                f"{one['rows_per_s']:12,.0f}{one['of_bare_loop']:9.2f}{one['failed']:8}"
            )


if __name__ == "__main__":
    main()
