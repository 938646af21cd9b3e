"""gRPC beside REST: the same worker, the same model, the same raw tensors.

    python -m benchmarks.serving_grpc [--bundle artifacts/bundles/digits-mlp] [--requests 4000]

Of each protocol, one image a request: the median latency over one connection, and the processor time that the worker
needs for a request over one connection and over sixteen. Processor time is what bounds a worker; requests per second of
these clients, which are in Python, would say more about the clients. Answers are compared before anything is timed.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import numpy as np
import psutil

from benchmarks.command import described
from components.serving.grpc import open_inference_grpc_pb2 as pb
from components.serving.grpc.methods import SERVICE
from components.serving.v2 import tensors

ROOT = Path(__file__).resolve().parent.parent
CONNECTIONS = (1, 16)
WARM = 300

Ask = Callable[[], Awaitable[bytes]]
"""Asks once over a connection of its own, and returns the raw outputs."""


def main() -> None:
    """Measure and print."""
    parser = described(__doc__)
    parser.add_argument("--bundle", type=Path, default=ROOT / "artifacts/bundles/digits-mlp")
    parser.add_argument("--requests", type=int, default=4000, help="over each number of connections")
    arguments = parser.parse_args()
    description = json.loads((arguments.bundle / "bundle.json").read_text())
    shape = (1, *description["inputs"][0]["shape"][1:])
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        settings = {"port": 0, "grpc_port": 0, "bundles": {"m": str(arguments.bundle.resolve())}}
        command = [sys.executable, "-m", "components.serving.worker", json.dumps(settings)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        worker = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            address = json.loads(worker.stdout.readline())
            results = asyncio.run(measured(worker.pid, address, image, arguments.requests))
        finally:
            worker.terminate()
            worker.wait(30)
    print(json.dumps(results | {"load": os.getloadavg()[0]}, indent=2))


async def measured(pid: int, address: dict, image: np.ndarray, requests: int) -> dict:
    """Return the figures of both protocols."""
    results: dict[str, dict[str, float]] = {}
    answers = set()
    for title, connect in (("REST", rest), ("gRPC", calls)):
        results[title] = {}
        for connections in CONNECTIONS:
            async with AsyncExitStack() as stack:
                asks = [await connect(address, image, stack) for _ in range(connections)]
                answers |= {await ask() for ask in asks}
                await asyncio.gather(*(repeat(ask, WARM // connections) for ask in asks))
                before = cpu_s(pid)
                times = await asyncio.gather(*(repeat(ask, requests // connections) for ask in asks))
                used = cpu_s(pid) - before
            count = sum(map(len, times))
            results[title][f"cpu us, {connections}"] = round(1e6 * used / count, 1)
            if connections == 1:
                results[title]["p50 ms"] = round(1e3 * statistics.median(times[0]), 3)
    assert len(answers) == 1, "the protocols answer differently"
    return results


async def repeat(ask: Ask, count: int) -> list[float]:
    """Ask one after the other, and return the seconds that each took."""
    times = []
    for _ in range(count):
        started = time.perf_counter()
        await ask()
        times.append(time.perf_counter() - started)
    return times


async def rest(address: dict, image: np.ndarray, stack: AsyncExitStack) -> Ask:
    """Connect over HTTP."""
    reader, writer = await asyncio.open_connection("127.0.0.1", address["port"])
    stack.callback(writer.close)
    entry = {"name": "image", "datatype": "UINT8", "shape": image.shape}
    entry["parameters"] = {"binary_data_size": image.nbytes}
    head = json.dumps({"inputs": [entry], "parameters": {"binary_data_output": True}}).encode()
    body = head + tensors.to_bytes(image)
    request = (
        f"POST /v2/models/m/infer HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(body)}\r\n"
        f"inference-header-content-length: {len(head)}\r\n\r\n"
    ).encode() + body

    async def ask() -> bytes:
        writer.write(request)
        fields = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        assert fields[0] == b"http/1.1 200 ok", fields[0]
        sizes = dict(field.split(b": ") for field in fields[1:-2])
        answer = await reader.readexactly(int(sizes[b"content-length"]))
        return answer[int(sizes[b"inference-header-content-length"]) :]

    return ask


async def calls(address: dict, image: np.ndarray, stack: AsyncExitStack) -> Ask:
    """Connect over gRPC."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{address['grpc_port']}", options)
    await stack.enter_async_context(channel)
    infer = channel.unary_unary(f"/{SERVICE}/ModelInfer")
    tensor = pb.ModelInferRequest.InferInputTensor(name="image", datatype="UINT8", shape=image.shape)
    asked = pb.ModelInferRequest(
        model_name="m", inputs=[tensor], raw_input_contents=[tensors.to_bytes(image)]
    ).SerializeToString()

    async def ask() -> bytes:
        return b"".join(pb.ModelInferResponse.FromString(await infer(asked)).raw_output_contents)

    return ask


def cpu_s(pid: int) -> float:
    """Return the processor time of a process so far, in seconds."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    main()
