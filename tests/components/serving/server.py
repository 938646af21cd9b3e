"""A real server as a process, and a small client that keeps its connection."""

from __future__ import annotations

import http.client
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from components.serving import child

ROOT = Path(__file__).parents[3]
START_S = 60
DATATYPES = {"uint8": "UINT8", "int64": "INT64", "float32": "FP32", "object": "BYTES"}


class Server:
    """``darkroom serve``, or a single worker, in a folder; ended at the end of the ``with`` block."""

    def __init__(
        self, folder: Path, *options: str, worker: dict[str, Any] | None = None, number: int = 0
    ) -> None:
        """Start it.

        Args:
            folder: its working directory.
            options: of ``darkroom serve``.
            worker: settings of a worker that runs without supervisor, in place of the command.
            number: that worker's; those of one folder with other numbers share counters.
        """
        module = ["flows", "serve", "--port", "0", "--json", *options]
        if worker is not None:
            module = ["components.serving.worker", json.dumps({"port": 0} | worker), "--number", str(number)]
        self.log = folder / "server.log"
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        with self.log.open("a") as log:
            self.process = child.start([sys.executable, "-m", *module], folder, environment, log)
        watch = threading.Timer(START_S, self.process.kill)
        watch.start()
        line = self.process.stdout.readline()
        watch.cancel()
        assert line, self.log.read_text()
        self.address = json.loads(line)
        self.port: int = self.address["port"]

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()

    def client(self) -> Client:
        return Client(self.port)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().split("\n") if line.startswith("{")]


class Client:
    """Asks over one connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | dict | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        self._connection.request(method, path, content, headers or {})
        response = self._connection.getresponse()
        return response.status, response.read(), response.headers

    def get(self, path: str, **headers: str) -> Any:
        status, body, _ = self.ask("GET", path, headers=headers)
        assert status == 200, (status, body)
        return json.loads(body)

    def post(self, path: str, body: dict | None = None) -> Any:
        status, answer, _ = self.ask("POST", path, body or {})
        assert status == 200, (status, answer)
        return json.loads(answer)

    def infer(
        self, model: str, inputs: dict[str, np.ndarray], **more: str
    ) -> tuple[str, dict[str, np.ndarray]]:
        """Ask in binary, with ``more`` headers; return the version that answered, and its outputs."""
        body, headers = binary(inputs)
        status, body, headers = self.ask("POST", f"/v2/models/{model}/infer", body, headers | more)
        assert status == 200, (status, body)
        return parse(body, headers)

    def close(self) -> None:
        self._connection.close()


def binary(inputs: dict[str, np.ndarray]) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a request with binary tensors, answered with such."""
    contents = [raw(values) for values in inputs.values()]
    described = [
        {
            "name": name,
            "datatype": DATATYPES[values.dtype.name],
            "shape": list(values.shape),
            "parameters": {"binary_data_size": len(content)},
        }
        for (name, values), content in zip(inputs.items(), contents, strict=True)
    ]
    head = json.dumps({"inputs": described, "parameters": {"binary_data_output": True}}).encode()
    body = head + b"".join(contents)
    return body, {"Inference-Header-Content-Length": str(len(head))}


def parse(body: bytes, headers: http.client.HTTPMessage) -> tuple[str, dict[str, np.ndarray]]:
    """Return version and outputs of a binary answer."""
    dtypes = {"UINT8": "uint8", "INT64": "int64", "FP32": "float32"}
    start = int(headers["Inference-Header-Content-Length"])
    answer, outputs = json.loads(body[:start]), {}
    for output in answer["outputs"]:
        size = output["parameters"]["binary_data_size"]
        part = body[start : start + size]
        values = (
            texts(part) if output["datatype"] == "BYTES" else np.frombuffer(part, dtypes[output["datatype"]])
        )
        outputs[output["name"]] = values.reshape(output["shape"])
        start += size
    return answer["model_version"], outputs


def raw(values: np.ndarray) -> bytes:
    """Return a raw tensor."""
    if values.dtype != object:
        return values.tobytes()
    encoded = [text.encode() for text in values.reshape(-1)]
    return b"".join(struct.pack("<I", len(text)) + text for text in encoded)


def texts(raw: bytes) -> np.ndarray:
    """Return the elements of a raw tensor of BYTES."""
    found = []
    while raw:
        (length,) = struct.unpack_from("<I", raw)
        found.append(raw[4 : 4 + length].decode())
        raw = raw[4 + length :]
    return np.array(found, dtype=object)
