"""Stage ``export``: turns a trained model into an ONNX bundle that agrees with PyTorch, or into nothing.

The graph is the one that the evaluate stage measured. It is compared with PyTorch (``components/bundles/parity.py``)
before the bundle gets its name; ``docs/reference/bundle.md`` says what it holds. The same checkpoint gives
the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

import models
from components import tasks
from components.bundles import golden, onnx_export, onnx_text, parity, triton_config
from components.bundles.bundle import DESCRIPTION, GOLDEN, MODEL, SCHEMA, Bundle, files_of
from components.bundles.onnx_session import OnnxGraph
from components.bundles.signature import Tensor
from components.evaluation import prompts
from components.project import layout, params
from components.project.command import main
from components.project.sections import ModelParams
from components.tasks import Task
from components.trained.torch_model import Reference, arguments, open_trained
from data import atomic
from data.errors import UserError
from data.prepared import DataSpec, PreparedData

EXAMPLES = 4
"""Golden examples of a bundle."""


def run(name: str) -> Bundle:
    """Export the model ``name``; return its bundle, opened.

    Raises:
        UserError: a stage before this one has not run, the graph cannot be exported, or parity fails: the message
            names the worst output, batch size and difference, and what was exported before stays.
    """
    every = params.load()
    settings = every.model(name)
    if told := settings.wrong_variant(getattr(models.family(settings.family), "VARIANTS", ())):
        raise UserError(f"{every.where(name)}.{told}")
    trained, data = open_trained(name, settings)
    evaluated = layout.evaluated(name)
    if not (evaluated / "metrics.json").exists():
        raise UserError(f"{evaluated}: no metrics there. Run the evaluate stage first.")
    graph = trained.family.graph(trained.model)
    task = tasks.of(trained.family.TASK, arguments(graph))
    inputs, outputs = task.signature(data.spec)
    # Compared on the CPU: it is there everywhere, and its bits do not change from run to run.
    pytorch = Reference(graph, data.spec, outputs, torch.device("cpu"), settings.threads)
    with atomic.folder(layout.bundle(name)) as folder:
        content = convert(graph, task, data)
        (folder / MODEL).parent.mkdir()
        (folder / MODEL).write_bytes(content)
        loaded = OnnxGraph(folder / MODEL, content, inputs, outputs, threads=settings.threads)
        onnx = loaded.predict
        report = {"batches": parity.tensors(name, task, onnx, pytorch, data)}
        answers = task.answer(onnx, data)
        report |= parity.examples(name, task, answers, data, evaluated)
        asked = task.inputs(data, "test", 0, EXAMPLES)
        (folder / GOLDEN).write_bytes(golden.write(asked, onnx(asked)))
        (folder / triton_config.FILE).write_text(triton_config.of_bundle(name, inputs, outputs))
        description = _describe(
            name,
            settings,
            trained.family.TASK,
            (inputs, outputs),
            data.spec,
            json.loads((evaluated / "metrics.json").read_text()),
        )
        if trained.origin is not None:
            description["pretrained"] = trained.origin
        description["parity"] = report
        description["golden"] = {
            "tolerances": {name: tolerance.to_json() for name, tolerance in task.TOLERANCES.items()}
        }
        if settings.variants:
            from components.variants import making  # ONNX Runtime's quantiser, which few exports use

            asked = loaded, answers, task, data, settings.threads
            description["variants"] = {
                one: making.add(folder, one, content, *asked) for one in settings.variants
            }
        description["sha256"] = {file: _sha256(folder / file) for file in files_of(description)}
        atomic.write_json(folder / DESCRIPTION, description)
    bundle = Bundle.open(layout.bundle(name), threads=settings.threads)
    bundle.check_golden()
    return bundle


def convert(graph: nn.Module, task: Task, data: PreparedData) -> bytes:
    """Return the ONNX graph of a trained model: it takes and gives what the ``task`` says, texts included.

    Raises:
        UserError: the graph has operations that ONNX does not have.
    """
    inputs, outputs = task.signature(data.spec)
    example = prompts.tokens(task.inputs(data, "validation", 0, 2), data.spec)
    model = onnx_export.trace(graph, prompts.signature(inputs, data.spec), outputs, example)
    if any(tensor.dtype == "string" for tensor in outputs):
        onnx_text.spell(model, data.spec.symbols, data.spec.separator)
    if any(tensor.dtype == "string" for tensor in inputs):
        onnx_text.read(model, "prompt", data.spec.words)
    return onnx_export.serialize(model)


def _describe(
    name: str,
    settings: ModelParams,
    task: str,
    signature: tuple[list[Tensor], list[Tensor]],
    spec: DataSpec,
    measured: dict[str, Any],
) -> dict[str, Any]:
    """Return what ``bundle.json`` says beside parity, golden examples and hashes of files."""
    inputs, outputs = signature
    channels = spec.input_channels or spec.channels
    return {
        "schema": SCHEMA,
        "name": name,
        "family": settings.family,
        "task": task,
        "dataset": settings.dataset,
        "inputs": [tensor.to_json() for tensor in inputs],
        "outputs": [tensor.to_json() for tensor in outputs],
        # What brings a file to the input, as `prepare` brought the training images.
        "image": {
            "height": spec.height,
            "width": spec.width,
            "channels": channels,
            "levels": spec.levels,
            "mode": "L" if channels == 1 else "RGB",
            "resample": "BILINEAR",
            **({"ground": list(spec.ground)} if spec.ground else {}),
            **({"fit": spec.fit} if spec.fit != "stretch" else {}),
            **({"reduced": True} if spec.encoded else {}),
        },
        "classes": list(spec.classes),
        **({"symbols": list(spec.symbols), "separator": spec.separator} if spec.symbols else {}),
        **({"words": list(spec.words), "longest_caption": spec.longest_caption} if spec.words else {}),
        "primary": measured["primary"],
        "metrics": measured["metrics"],
        # Who looked at generated images: metrics of different judges do not compare.
        **({"judge": measured["judge"]} if "judge" in measured else {}),
        "data": spec.sha256,
        "params": _hash_json(settings.model_dump(mode="json")),
        "code": hash_code(settings.family, Path(models.__file__).parents[1]),
    }


def _hash_json(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def hash_code(family: str, root: Path) -> str:
    """Return a hash of the code that the model is made of, files by path in the project's ``root``.

    Each is a dep of this stage in ``dvc.yaml``: the hash cannot be of an older state than the files.
    """
    folder = root / "models"
    # The registry is a list for people and tests: a new family in it changes no other. Nor does what is said of memory.
    files = [file for file in folder.glob("*.py") if file.name not in ("registry.py", "footprint.py")]
    files += [*folder.glob("blocks/**/*.py"), *folder.glob(f"{family}/**/*.py")]
    return _hash_json({file.relative_to(root).as_posix(): _sha256(file) for file in sorted(files)})


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main(run)
