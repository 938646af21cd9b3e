"""Stage ``evaluate``: measures a trained model on the test split, and draws what it does.

It calls the graph that will be exported, in PyTorch, and leaves in ``artifacts/models/<name>/evaluate/``

- ``metrics.json``: each metric with its 95 % interval, a table per class and, where there are slices or challenge sets,
  one of each;
- ``headline.json``: the name and the value of the primary one, which is all that ``dvc metrics show`` lists;
- ``examples.parquet``: a row per test example that was asked for, so that two models can be compared pairwise;
- ``plots/``: pictures, and CSV files that ``dvc plots`` draws.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components import tasks
from components.bundles.signature import Arrays
from components.datasets import challenge_sets, slices
from components.evaluation import by_slice
from components.evaluation.hooks import Evaluated
from components.metrics.measurement import Measurement
from components.project import layout, params
from components.project.command import main
from components.tasks import Task
from components.trained import base_model
from components.trained.torch_model import Reference, arguments, open_trained
from data import atomic
from data.errors import UserError
from models.checkpoint import Checkpoint
from models.run import find_device


def run(name: str) -> Measurement:
    """Evaluate the model ``name`` and write its evaluate folder.

    Raises:
        UserError: there is no such model, checkpoint or prepared data, the two do not belong together, or
            an answer is not finite.
    """
    everything = params.load()
    settings, where = everything.model(name), everything.where(name)
    base = base_model.load(settings, where)
    trained, data = open_trained(name, settings)
    graph = trained.family.graph(trained.model)
    task = tasks.of(trained.family.TASK, arguments(graph))
    device = find_device(settings.device, f"{where}.device")
    predict = Reference(graph, data.spec, task.signature(data.spec)[1], device, settings.threads)
    # A judge looks at samples, which are of no test example.
    challenged = None if task.COMPARED_BY_JUDGE else challenge_sets.read(settings.dataset)
    try:
        answers = task.answer(predict, data)
        of_challenged = task.answer(predict, challenged.data) if challenged else {}
    except ValueError as error:
        raise UserError(
            f"{layout.trained(name)}: {error}. The training diverged: lower its learning rate."
        ) from None
    answers |= _by_family(task, trained, Evaluated(data, predict, trained.seed, str(device)))
    if base is not None:
        from components.trained import base_answers

        answers |= base_answers.answers(base, data, device, settings.threads)
    answers |= task.extend(answers, data)
    measurement = task.measure(answers, data)
    sliced = None if task.COMPARED_BY_JUDGE else slices.read(settings.dataset, data.test.ids)
    with atomic.folder(layout.evaluated(name)) as folder:
        examples = {"id": data.test.ids, "label": data.test.labels} | task.rows(answers, data)
        _write_examples(folder / "examples.parquet", examples)
        shared = {
            "task": trained.family.TASK,
            "dataset": settings.dataset,
            "num_examples": len(examples["id"]),
        }
        if sliced is not None:
            scores = task.paired(answers, data)[0]
            shared["slices"] = by_slice.measure(scores, sliced)
            by_slice.draw(folder / "plots/slices.png", scores, data.test, sliced, shared["slices"])
        if challenged is not None:
            scores, sets = task.paired(of_challenged, challenged.data)[0], challenged.sets
            found = by_slice.measure(scores, sets)
            shared["challenge_sets"] = found | {"left_out": challenged.left_out}
            by_slice.draw(folder / "plots/challenge_sets.png", scores, challenged.data.test, sets, found)
        atomic.write_json(folder / "metrics.json", shared | measurement.to_json())
        primary = measurement.metrics[measurement.primary]
        atomic.write_json(folder / "headline.json", {"metric": measurement.primary, "value": primary.value})
        task.draw(folder / "plots", answers, data, measurement)
        _draw_history(folder / "plots", layout.trained(name) / "history.csv")
    return measurement


def _by_family(task: Task, trained: Checkpoint, evaluated: Evaluated) -> Arrays:
    """Return what the graph cannot tell but the family can, on the test images."""
    model, answers = trained.model.to(evaluated.device), {}
    for name, ask in task.HOOKS.items():
        if hasattr(trained.family, name):
            answers |= ask(partial(getattr(trained.family, name), model), evaluated)
    return answers


def _write_examples(path: Path, columns: Mapping[str, Sequence | np.ndarray]) -> None:
    """Write a row per test example; the same rows give the same bytes."""
    with atomic.file(path) as temporary:
        pq.write_table(pa.table(dict(columns)), temporary)


def _draw_history(folder: Path, history: Path) -> None:
    from components.pictures import curves

    with history.open() as file:
        rows = list(csv.DictReader(file))
    columns = {key: np.array([float(row[key] or "nan") for row in rows]) for key in rows[0]}
    curves.draw(folder / "learning_curves.png", columns)


if __name__ == "__main__":
    main(run)
