"""The servers that are compared: how each is started, asked and read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime

HERE = Path(__file__).resolve().parent
_RUNTIME = ["onnxruntime==1.31.1", "numpy==2.4.6"]
ENVIRONMENTS = {
    "mlflow": ["mlflow==3.17.2", "onnx==1.23.2", *_RUNTIME],
    "litserve": ["litserve==0.2.19", *_RUNTIME],
    "bentoml": ["bentoml==1.4.40", *_RUNTIME],
    "mosec": ["mosec==0.9.8", "msgpack==1.2.4", *_RUNTIME],
}
"""What is installed for each peer."""


@dataclass(frozen=True)
class Graph:
    """A classifier's bundle, its number of classes, and images for it, uint8 [N, H, W, C]."""

    name: str
    folder: Path
    classes: int
    images: np.ndarray

    @property
    def file(self) -> Path:
        """The ONNX file."""
        return self.folder / "1" / "model.onnx"

    def session(self) -> onnxruntime.InferenceSession:
        """Return ONNX Runtime with one thread, as in all servers."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(self.file, options, providers=["CPUExecutionProvider"])


@dataclass(frozen=True)
class Place:
    """Where a server runs: the graph, the Python of its environment, a folder to write to, and its port."""

    graph: Graph
    python: Path
    scratch: Path
    port: int

    def tool(self, name: str) -> str:
        """Return a command of the environment."""
        return str(self.python.with_name(name))


Headers = dict[str, str]
_JSON = {"Content-Type": "application/json"}


def _pixels(images: np.ndarray) -> tuple[bytes, Headers]:
    return json.dumps({"image": images.tolist()}).encode(), _JSON


def _probabilities(body: bytes, rows: int, classes: int) -> np.ndarray:
    return np.array(json.loads(body)["probabilities"])


def _last_bytes(body: bytes, rows: int, classes: int) -> np.ndarray:
    """Return the floats that a binary response ends with."""
    return np.frombuffer(body[-4 * rows * classes :], np.float32).reshape(rows, classes)


@dataclass(frozen=True)
class Server:
    """A server.

    Attributes:
        kind: names its environment; ours has none.
        command: of a place, what starts it there.
        path: of a graph, where it is asked.
        body: of images, a request and its headers.
        answer: of a response, its rows and the number of classes, the probabilities.
    """

    kind: str
    command: Callable[[Place], list[str]]
    path: Callable[[Graph], str]
    body: Callable[[np.ndarray], tuple[bytes, Headers]] = field(default=_pixels)
    answer: Callable[[bytes, int, int], np.ndarray] = field(default=_probabilities)


def _darkroom(place: Place) -> list[str]:
    bundle = f"{place.graph.name}={place.graph.folder}"
    return [sys.executable, "-m", "flows", "serve", "--port", str(place.port), "--bundle", bundle]


def _darkroom_workers(place: Place) -> list[str]:
    return [*_darkroom(place), "--workers", "2"]


def _darkroom_unbatched(place: Place) -> list[str]:
    bundles = {place.graph.name: str(place.graph.folder)}
    settings = {"port": place.port, "bundles": bundles, "default": {"batching": False}}
    return [sys.executable, "-m", "components.serving.worker", json.dumps(settings)]


def _infer(graph: Graph) -> str:
    return f"/v2/models/{graph.name}/infer"


def _tensor(images: np.ndarray) -> tuple[bytes, Headers]:
    described = {"name": "image", "datatype": "UINT8", "shape": list(images.shape)}
    described["parameters"] = {"binary_data_size": images.nbytes}
    head = json.dumps({"inputs": [described], "parameters": {"binary_data_output": True}}).encode()
    return head + images.tobytes(), {"Inference-Header-Content-Length": str(len(head))}


def _tensor_json(images: np.ndarray) -> tuple[bytes, Headers]:
    tensor = {
        "name": "image",
        "datatype": "UINT8",
        "shape": list(images.shape),
        "data": images.ravel().tolist(),
    }
    return json.dumps({"inputs": [tensor]}).encode(), _JSON


def _output(body: bytes, rows: int, classes: int) -> np.ndarray:
    (output,) = json.loads(body)["outputs"]
    return np.array(output["data"]).reshape(rows, classes)


def _mlflow(place: Place) -> list[str]:
    folder = place.scratch / f"mlflow-{place.graph.name}"
    if not folder.exists():
        subprocess.run([place.python, HERE / "mlflow_save.py", place.graph.file, folder], check=True)
    options = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(place.port), "--workers", "1"]
    return [place.tool("mlflow"), "models", "serve", "-m", str(folder), *options]


def _litserve(most: int) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        script = str(HERE / "litserve_app.py")
        return [str(place.python), script, str(place.graph.file), str(place.port), str(most)]

    return command


def _bentoml(place: Place) -> list[str]:
    options = ["--host", "127.0.0.1", "--port", str(place.port), "--working-dir", str(HERE)]
    return [place.tool("bentoml"), "serve", "bentoml_app:Classifier", *options]


def _mosec(most: int) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        script = [str(place.python), str(HERE / "mosec_app.py")]
        return ["env", f"MAX_BATCH={most}", *script, "--address", "127.0.0.1", "--port", str(place.port)]

    return command


def _msgpack(images: np.ndarray) -> tuple[bytes, Headers]:
    """Return a map of one entry: its key is text of five letters, its value bytes with a length of four bytes."""
    content = images.tobytes()
    packed = b"\x81\xa5image\xc6" + len(content).to_bytes(4, "big") + content
    return packed, {"Content-Type": "application/msgpack"}


SERVERS = {
    "darkroom": Server("", _darkroom, _infer, _tensor, _last_bytes),
    "darkroom, 2 workers": Server("", _darkroom_workers, _infer, _tensor, _last_bytes),
    "darkroom, batching off": Server("", _darkroom_unbatched, _infer, _tensor, _last_bytes),
    "darkroom, JSON": Server("", _darkroom, _infer, _tensor_json, _output),
    "mosec": Server("mosec", _mosec(64), lambda graph: "/inference", _msgpack, _last_bytes),
    "mosec, batching off": Server("mosec", _mosec(1), lambda graph: "/inference", _msgpack, _last_bytes),
    "litserve": Server("litserve", _litserve(1), lambda graph: "/predict"),
    "litserve, batching": Server("litserve", _litserve(64), lambda graph: "/predict"),
    "bentoml": Server(
        "bentoml",
        _bentoml,
        lambda graph: "/predict",
        answer=lambda body, rows, classes: np.array(json.loads(body)),
    ),
    "mlflow": Server(
        "mlflow",
        _mlflow,
        lambda graph: "/invocations",
        lambda images: (json.dumps({"inputs": {"image": images.tolist()}}).encode(), _JSON),
        lambda body, rows, classes: np.array(json.loads(body)["predictions"]["probabilities"]),
    ),
}
"""Every server by its title."""
