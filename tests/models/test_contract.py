"""What every family must do, whatever it is: run on each one in the registry, unasked."""

from __future__ import annotations

import functools
import inspect
import random
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

import models
from components import tasks
from components.evaluation import prompts
from components.trained.torch_model import arguments
from models import checkpoint
from models.registry import FAMILIES
from tests.models import exported, tiny, training_process
from tests.models.hooks import HOOKS, ONE_DEVICE, REQUIRED, WALKS

every_family = pytest.mark.parametrize("family", FAMILIES)
EXPORTED_BY_RUNS = ("text_to_image", "lora", "dreambooth", "controlnet")
"""Half a minute each to trace. Every ``make run`` exports one of each and compares it; the loop is that of ``ddpm``."""
EXPORTED_BY_STAGES = ("cnn", "detr", "gmm", "logreg", "pix2pix", "segmenter", "transformer", "vae")
"""Held to the same by the stages' own export of one (``tests/components/test_export.py``, ``test_task_stages.py``)."""
SAME_LOOP = ("lora", "dreambooth", "controlnet", "ddpm", "hf_classifier", "segmenter", "vit")
"""Trained by the loop that ``cnn`` and ``text_to_image`` are trained by."""


def every_family_but(slow: tuple[str, ...]) -> pytest.MarkDecorator:
    """Return a parametrization over all families, of which ``make slow`` has those that other tests hold to it."""
    marked = [pytest.param(name, marks=pytest.mark.slow if name in slow else ()) for name in FAMILIES]
    return pytest.mark.parametrize("family", marked)


ANSWERS = {
    "classification": [(torch.float32, (3, 10))],
    "density": [(torch.float32, (3,)), (torch.float32, (3, 10))],
    "generation": [(torch.uint8, (3, 8, 8, 1))],
    "translation": [(torch.uint8, (3, 8, 8, 1))],
    "reenactment": [(torch.uint8, (3, 16, 16, 3))],
    "text_to_image": [(torch.uint8, (3, 8, 8, 3))],
    "controlled_generation": [(torch.uint8, (3, 8, 8, 3))],
    "segmentation": [(torch.uint8, (3, 32, 32))],
    "detection": [(torch.float32, (3, "Q", 4)), (torch.float32, (3, "Q")), (torch.int64, (3, "Q"))],
    "transcription": [(torch.int64, (3, 4)), (torch.float32, (3,))],
}
"""What a graph of each task answers to three examples of these data; Q is the model's number of queries."""
FILES = ("model.safetensors", "last.safetensors", "checkpoint.json")


@pytest.fixture
def data(family, suitable):
    """Give what the family of the test is trained on."""
    return suitable(family)


@pytest.fixture(scope="module")
def trained(suitable):
    """Give a family's (model, run), trained once for all tests, when the first of them asks."""
    return functools.cache(lambda family: tiny.fitted(family, suitable(family)))


def save(folder: Path, family: str, data, model, run) -> dict[str, bytes]:
    """Write a checkpoint and return its files' bytes."""
    folder.mkdir()
    tiny.save(folder, family, tiny.settings(family), data, model, run)
    return {name: (folder / name).read_bytes() for name in FILES}


def inputs(family: str, graph: torch.nn.Module, data, count: int) -> dict[str, torch.Tensor]:
    """Return real inputs of a graph, ``count`` examples of them, with a seed that is no small number."""
    task = tasks.of(models.family(family).TASK, arguments(graph))
    given = prompts.tokens(task.inputs(data, "test", 2**40 + 7, count), data.spec)
    return {name: torch.from_numpy(np.array(values)) for name, values in given.items()}


def answer(graph, given) -> tuple[torch.Tensor, ...]:
    with torch.no_grad():
        answers = graph(**given)
    return answers if isinstance(answers, tuple) else (answers,)


@every_family
def test_exports_the_contract(family):
    module = models.family(family)
    assert module.TASK in tasks.TASKS
    assert module.__doc__
    for preset in (module.Config.quick(), module.Config.full()):
        with pytest.raises(ValidationError):
            preset.seed = 1
    assert callable(module.build)
    assert callable(module.fit)
    assert callable(module.graph)
    functions = {name for name, value in vars(module).items() if inspect.isfunction(value)}
    assert functions - REQUIRED == {hook for hook, families in HOOKS.items() if family in families}
    assert hasattr(module, "BASE") == (family in HOOKS["start"])
    assert family not in HOOKS["start"] or module.BASE in FAMILIES
    assert getattr(module, "ONE_DEVICE", False) == (family in ONE_DEVICE)
    assert module.TASK != "density" or family in HOOKS["log_likelihood"]


@every_family
def test_learns(family, trained):
    _, run = trained(family)
    # Each row is of one phase of the training; a phase before the last one has columns of its own. Where two
    # networks play against each other no loss has to fall: the distance to the validation images does.
    courses = ("train_", "validation_energy_distance", "validation_l1")
    columns = [next(key for key in row if key.startswith(courses)) for row in run.history]
    assert columns[-1] in ("train_loss", "validation_energy_distance", "validation_l1")
    for column in set(columns):
        losses = [row[column] for row in run.history if column in row]
        assert len(losses) >= 2
        assert losses[-1] < losses[0]
    assert run.outcome.steps >= len(run.history)
    assert run.images > 0


@every_family
def test_same_seed_gives_the_same_bytes(family, trained, data, tmp_path):
    again = tiny.fitted(family, data)
    once = save(tmp_path / "once", family, data, *trained(family))
    assert save(tmp_path / "again", family, data, *again) == once
    assert again[1].history == trained(family)[1].history


@every_family_but(SAME_LOOP)
def test_killed_and_started_again_gives_the_same_bytes(family, data, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    undisturbed = training_process.start(family, data.folder, whole)
    kill(
        training_process.start(family, data.folder, killed, saving=True),
        killed / "point.safetensors",
        points=random.randint(1, 4),
    )
    assert end(undisturbed) == 0
    assert not (killed / "checkpoint.json").exists()
    assert (killed / "point.safetensors").exists()
    assert end(training_process.start(family, data.folder, killed)) == 0
    for name in FILES:
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name


def end(process: BaseProcess) -> int:
    process.join()
    return process.exitcode


def kill(process: BaseProcess, point: Path, points: int) -> None:
    """Send SIGKILL some time after ``points`` resume points were seen."""
    seen: set[int] = set()
    while len(seen) < points and process.is_alive():
        if point.exists():
            seen.add(point.stat().st_mtime_ns)
        time.sleep(0.0005)
    time.sleep(random.uniform(0, 0.01))
    process.kill()
    assert end(process) == -signal.SIGKILL, "the training was over before it could be killed"


@every_family
def test_save_and_load_agree(family, trained, data, tmp_path):
    model, run = trained(family)
    save(tmp_path / "saved", family, data, model, run)
    loaded = checkpoint.load(tmp_path / "saved")
    assert loaded.family is models.family(family)
    assert loaded.config == tiny.settings(family)
    assert loaded.spec == data.spec
    given = inputs(family, loaded.family.graph(loaded.model), data, 5)
    for ours, theirs in zip(
        answer(loaded.family.graph(loaded.model), given),
        answer(loaded.family.graph(model), given),
        strict=True,
    ):
        assert torch.equal(ours, theirs)


@every_family
def test_graph_has_the_signature_of_its_task(family, trained, data):
    graph = models.family(family).graph(trained(family)[0])
    wanted, outputs = tasks.of(models.family(family).TASK, arguments(graph)).signature(data.spec)
    assert arguments(graph) == [tensor.name for tensor in wanted]
    answers = answer(graph, inputs(family, graph, data, 3))
    computed = [tensor for tensor in outputs if tensor.dtype != "string"]  # PyTorch has none
    for tensor, values in zip(computed, answers, strict=True):
        assert len(values) == 3 and tensor.takes(values.numpy()), (tensor, values.shape)
        if tensor.name == "probabilities":
            torch.testing.assert_close(values.sum(dim=1), torch.ones(3))
    # In numbers too: a task and its families could be wrong alike.
    queries = answers[0].shape[1] if answers[0].ndim > 1 else 0
    expected = [
        (dtype, tuple(queries if side == "Q" else side for side in shape))
        for dtype, shape in ANSWERS[models.family(family).TASK]
    ]
    assert [(values.dtype, tuple(values.shape)) for values in answers] == expected


@every_family_but(EXPORTED_BY_RUNS + EXPORTED_BY_STAGES)
def test_exported_graph_agrees(family, trained, data, tmp_path):
    assert exported.compare(family, trained(family)[0], data, tmp_path) == set("127")


@pytest.mark.parametrize("family", HOOKS["log_likelihood"])
def test_likelihood_is_one_number_for_each_image(family, trained, data):
    module = models.family(family)
    model, images = trained(family)[0], data.test.images
    whole = module.log_likelihood(model, images, 3)
    assert whole.dtype == np.float64
    assert whole.shape == (len(images),)
    assert np.isfinite(whole).all()
    # Probabilities of discrete levels: none is above one.
    assert (whole <= 0).all()
    # An image's value depends on its place at most, not on what comes after it.
    np.testing.assert_allclose(module.log_likelihood(model, images[:7], 3), whole[:7], rtol=1e-6)


@pytest.mark.parametrize("family", HOOKS["reconstruct"])
def test_reconstructions_are_images(family, trained, data):
    images = data.test.images[:9]
    rebuilt = models.family(family).reconstruct(trained(family)[0], images)
    assert rebuilt.dtype == np.uint8
    assert rebuilt.shape == images.shape


@pytest.mark.parametrize(("walk", "family"), WALKS)
def test_walks_are_rows_of_images(family, walk, trained, data):
    model = trained(family)[0]
    draw = getattr(models.family(family), walk)
    rows = draw(model, 3)
    assert rows.dtype == np.uint8
    assert rows.ndim == 5 and rows.shape[2:] == data.spec.shape
    assert rows.shape[0] >= 2 and rows.shape[1] >= 2
    assert (rows[:, 0] != rows[:, -1]).any()
    np.testing.assert_array_equal(rows, draw(model, 3))
    assert (rows != draw(model, 4)).any()
