"""Stage ``judge``: trains the classifier of a data set by which its generators are judged.

It leaves in ``artifacts/data/<dataset>/judge/``

- ``model.onnx``: ``image`` uint8 [N, H, W, C] to ``features`` float32 [N, 64] and ``probabilities`` float32 [N, K];
- ``references.safetensors``: its features of real images, ``train`` and ``test``;
- ``judge.json``: whether it judges, how often it is right, and its identity, the SHA-256 of ``model.onnx``.

A data set whose labels are no classes has no judge, and ``judge.json`` says so.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from components.bundles import onnx_export
from components.judging import network
from components.judging.judge import DESCRIPTION, MODEL, REFERENCES, Judge, signature
from components.metrics.nearest import evenly
from components.project import layout
from components.project.command import main
from data import atomic
from data.kinds import KINDS
from data.prepared import PreparedData, Split
from data.tensor_files import encode


def run(dataset: str) -> Path:
    """Train the judge of ``dataset`` and return its folder, ``layout.judge(dataset)``.

    Raises:
        UserError: there is no prepared data.
    """
    data = PreparedData(layout.prepared(dataset))
    with atomic.folder(layout.judge(dataset)) as folder:
        if not KINDS[data.spec.task].has_classes:
            told = f"the labels of {dataset} are no classes"
            atomic.write_json(folder / DESCRIPTION, {"judges": False, "reason": told})
        else:
            _make(folder, data)
    return layout.judge(dataset)


def _make(folder: Path, data: PreparedData) -> None:
    lesson = network.Lesson(data.train, data.validation)
    trained = network.learn(lesson, data.spec, network.RECIPE, f"judge of {data.spec.name}")
    features = network.in_chunks(trained.features, evenly(data.train.images))
    inputs, outputs = signature(data.spec)
    content = onnx_export.convert(
        network.Graph(trained, features).eval(), inputs, outputs, {"image": data.validation.images[:2]}
    )
    (folder / MODEL).write_bytes(content)
    description = {"judges": True, "sha256": hashlib.sha256(content).hexdigest(), "data": data.spec.sha256}
    judge = Judge(folder / MODEL, content, data.spec, description)
    references = {
        name: judge.embed(evenly(split.images))[0]
        for name, split in (("train", data.train), ("test", data.test))
    }
    (folder / REFERENCES).write_bytes(encode(references))
    atomic.write_json(folder / DESCRIPTION, description | {"accuracy": _accuracy(judge, data.test)})


def _accuracy(judge: Judge, split: Split) -> float:
    _, probabilities = judge.embed(split.images)
    return float(np.mean(probabilities.argmax(axis=1) == split.labels))


if __name__ == "__main__":
    main(run)
