"""What a task measures: one module per task, chosen by name, so that no stage knows any of them by itself.

A task works on the graph's inputs and outputs alone. Whoever answers, PyTorch in the evaluate stage or ONNX
Runtime in the export stage, the gate and a server, gives a :data:`Predict`, and the same functions measure
it. A task module has

=============  ============================================================================================
``TOLERANCES`` by output name, what ONNX Runtime may differ from PyTorch (:class:`Tolerance`)
``answer``     ``(predict, data) -> answers``: asks for everything that is measured, on the test split
``measure``    ``(answers, data) -> Measurement``
``paired``     ``(answers, data) -> scores``: what the gate compares two models by, the primary metric first
               (:class:`.paired.Scores` by example, or :class:`.paired.SetScores` of sets of examples)
``rows``       ``(answers, data) -> columns`` of ``examples.parquet`` besides ``id`` and ``label``; with these two
               where not every test example was asked for
``inputs``     ``(data, split, start, count) -> inputs``: real ones, for parity and golden examples
``signature``  ``(spec) -> (inputs, outputs)``: the graph's :class:`Tensor` s, in order
``draw``       ``(folder, answers, data, measured)``: writes the pictures
=============  ============================================================================================
"""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from types import ModuleType

TASKS = (
    "classification",
    "density",
    "generation",
    "translation",
    "reenactment",
    "detection",
    "segmentation",
    "transcription",
    "text_to_image",
    "controlled_generation",
)

DRAWING = ("generation", "text_to_image")
"""Those whose graphs are shown no picture and draw one, which a judge then looks at."""

VARIANTS = {("generation", "label"): "conditional_generation"}
"""By task and the name of an input that only some of its graphs have: the module for graphs that have it."""


def of(name: str, inputs: Collection[str] = ()) -> ModuleType:
    """Return the module of task ``name``, one of :data:`TASKS`, for a graph whose inputs have these names.

    Without them it is the module for graphs that have only the inputs that every graph of the task has.
    """
    if name not in TASKS:
        raise ValueError(f"no task {name!r}: {', '.join(TASKS)}")
    variants = [module for (task, extra), module in VARIANTS.items() if task == name and extra in inputs]
    return import_module(f"components.tasks.{(variants or [name])[0]}")
