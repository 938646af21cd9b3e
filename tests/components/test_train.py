"""The train stage as it is run: its outs, its mistakes, and a real kill."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
import yaml

from components import train
from components.project import batch_size, layout
from components.registry import version_record
from data import memory
from data.errors import UserError
from models import checkpoint, footprint
from models.blocks import loop
from models.footprint import Rehearsal
from models.run import processor
from tests.components import workspace

ROOT = Path(__file__).parents[2]
NAME = "shapes-cnn"
SHORT = {"epochs": 2, "widths": [4, 8]}
EAGER = f"""
import functools
import math
from components import train
from models.run import Run

train.Run = functools.partial(Run, save_seconds=0.0, save_share=math.inf)
train.run({NAME!r})
"""
"""The stage with a resume point at every opportunity."""


BY_TWO = f"""
import functools
import math
from components import train
from models import launch
from models.run import Run

train.Run = functools.partial(Run, save_seconds=0.0, save_share=math.inf)
launch.launch = functools.partial(launch.launch, method="fork")
train.run({NAME!r}, backend="gloo")
"""
"""The stage as two ranks on the CPU, which are started in no time, with a resume point at every opportunity."""


@pytest.fixture
def shapes(bare_project) -> Path:
    """A workspace with prepared data and a model of each family in ``params.yaml``."""
    workspace.write_families()
    return bare_project


def change(**entry: object) -> None:
    """Put values into the entry of :data:`NAME` in ``params.yaml``."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["models"][NAME] |= entry
    Path("params.yaml").write_text(yaml.safe_dump(params))


def resume_point(monkeypatch) -> Path:
    """Begin the training and end it before its first step; return the file it would be resumed from."""
    found = []

    class Stopped(Exception):
        pass

    def stop(*args, resume_file, **settings):
        found.append(resume_file)
        raise Stopped

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(train, "Run", stop)
        train.run(NAME)
    return found[0]


def outs() -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in layout.trained(NAME).iterdir()}


def test_writes_checkpoint_history_and_speed(shapes):
    assert train.run(NAME) == layout.trained(NAME)
    assert set(outs()) == {"model.safetensors", "last.safetensors", "checkpoint.json", "history.csv"}
    rows = list(csv.DictReader(layout.trained(NAME).joinpath("history.csv").open()))
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert int(rows[-1]["step"]) == checkpoint.load(layout.trained(NAME)).steps
    timing = json.loads(layout.timing(NAME).read_text())
    assert timing["images_per_second"] > 0
    assert timing["device"] == "cpu"
    assert version_record.trained_on(NAME) == timing["processor"] == processor(torch.device("cpu"))
    # Weights of elsewhere, as DVC's remote brings them: the last training here says nothing of them.
    (layout.trained(NAME) / "model.safetensors").write_bytes(b"others")
    assert version_record.trained_on(NAME) == "unknown"
    assert not layout.resume(NAME).exists()


def test_a_second_run_writes_the_same_bytes(shapes):
    train.run(NAME)
    once = outs()
    train.run(NAME)
    assert outs() == once


def test_a_killed_stage_goes_on_and_ends_in_the_same_bytes(shapes):
    change(overrides={"epochs": 100, "widths": [4, 8], "batch_size": 16})
    train.run(NAME)
    whole = outs()
    stage = start(EAGER)
    while not list(layout.resume(NAME).glob("*/point.safetensors")):
        assert stage.poll() is None, "the training was over before it could be killed"
        time.sleep(0.001)
    stage.send_signal(signal.SIGKILL)
    stage.wait()
    assert not layout.trained(NAME).joinpath("checkpoint.json").exists() or outs() == whole
    assert start(f"from components import train; train.run({NAME!r})").wait() == 0
    assert outs() == whole
    assert not layout.resume(NAME).exists()


@pytest.mark.slow  # tests/models/test_launch.py kills a rank of a training without the stage around it
def test_a_rank_that_is_killed_ends_the_stage_and_the_next_try_goes_on(shapes):
    change(gpus=2, overrides={"epochs": 60, "widths": [4, 8], "batch_size": 15})
    assert start(BY_TWO).wait() == 0
    whole = outs()
    stage = start(BY_TWO, stderr=subprocess.PIPE)
    while not list(layout.resume(NAME).glob("*/point.safetensors")):
        assert stage.poll() is None, "the training was over before it could be killed"
        time.sleep(0.001)
    ranks = psutil.Process(stage.pid).children()
    assert len(ranks) == 2
    ranks[1].kill()
    _, told = stage.communicate(timeout=10)
    assert stage.returncode != 0
    assert "rank 1 of 2 was killed by signal 9 (out of memory?). The other ranks were ended." in told
    assert not any(rank.is_running() for rank in ranks)
    assert start(BY_TWO).wait() == 0
    assert outs() == whole
    assert not layout.resume(NAME).exists()


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"gpus": 2}, r"models.shapes-cnn.gpus: 2, but there are 1 GPUs here. Use at most 1."),
        ({"gpus": 2, "device": "cpu"}, r"models.shapes-cnn: gpus: 2 and device: cpu exclude each other"),
        (
            {"gpus": 2, "family": "gmm", "overrides": {}},
            r"models.shapes-cnn.gpus: 2, but a 'gmm' is fitted on one. Leave it out.",
        ),
    ],
)
def test_gpus_that_cannot_be_used_are_told(shapes, monkeypatch, entry, told):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    change(**entry)
    with pytest.raises(UserError, match=rf"^params.yaml: {told}"):
        train.run(NAME)


def test_more_gpus_than_a_batch_has_examples_are_told(shapes):
    change(gpus=3, overrides=SHORT | {"batch_size": 2})
    with pytest.raises(
        UserError, match=r"models.shapes-cnn.gpus: 3, but a batch has 2 examples. Use at most 2"
    ):
        train.run(NAME, backend="gloo")


def test_each_rank_sees_one_of_the_visible_gpus(shapes, monkeypatch):
    seen, points = [], [resume_point(monkeypatch)]

    def launched(_, arguments, gpus, backend):
        seen.append((gpus, backend))
        points.append(arguments[0].resume_file)
        raise ZeroDivisionError

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(train.launch, "launch", launched)
    change(gpus=2)
    for visible in ("5,7,8", None):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        with pytest.raises(ZeroDivisionError):
            train.run(NAME)
    assert seen == [(["5", "7"], "nccl"), (["0", "1"], "nccl")]
    # Sums over two ranks are other sums: they never resume what one began.
    assert points[0] != points[1] == points[2]


def test_settings_edited_meanwhile_fail_it_and_the_resume_point_stays(shapes):
    change(overrides={"epochs": 85, "widths": [4, 8], "batch_size": 16})
    train.run(NAME)
    whole = outs()
    Path("dvc.yaml").write_text(
        "stages: {train: {foreach: '${models}', do: {cmd: none, params: ['models.${key}']}}}\n"
    )
    stage = start(EAGER, stderr=subprocess.PIPE, DVC_STAGE=f"train@{NAME}")
    while not list(layout.resume(NAME).glob("*/point.safetensors")):
        assert stage.poll() is None, "the training was over before its settings could be edited"
        time.sleep(0.001)
    change(seed=3)
    _, told = stage.communicate()
    assert stage.returncode != 0
    assert f"params.yaml: models.{NAME}.seed: not there when it began, 3 now" in told
    (point,) = layout.resume(NAME).glob("*/point.safetensors")
    change(seed=0)  # another one than before by name, the same in effect
    train.run(NAME)
    assert outs() == whole
    assert not point.exists()


def start(script: str, stderr: int | None = None, **environment: str) -> subprocess.Popen:
    """Start the stage in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stderr=stderr,
        text=True,
    )


@pytest.mark.parametrize(
    "entry",
    [
        {"seed": 1},
        {"threads": 2},
        {"overrides": {"epochs": 10, "least_steps": 10, "widths": [4, 9]}},
    ],
)
def test_another_recipe_never_resumes_this_one(shapes, monkeypatch, entry):
    points = []
    for values in ({}, {}, entry):
        change(**values)
        points.append(resume_point(monkeypatch))
    assert points[0] == points[1] != points[2]
    assert points[0].is_relative_to(layout.resume(NAME))


def test_another_processor_never_resumes_this_one_s_training(shapes, monkeypatch):
    keys = []
    monkeypatch.setattr(
        train, "Run", lambda *args, resume_file, **settings: keys.append(resume_file) or 1 / 0
    )
    for kind in ("AVX2", "AVX2", "AVX512"):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda kind=kind: kind)
        with pytest.raises(ZeroDivisionError):
            train.run(NAME)
    assert keys[0] == keys[1] != keys[2]


def test_a_failed_training_keeps_the_last_model(shapes, monkeypatch):
    train.run(NAME)
    once = outs()
    change(seed=1)
    monkeypatch.setattr(checkpoint, "save", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train.run(NAME)
    assert outs() == once
    assert [path.name for path in layout.trained(NAME).parent.iterdir()] == ["train"]


def test_a_wrong_override_names_its_key(shapes):
    change(overrides={"epoch": 3})
    with pytest.raises(UserError, match=r"params.yaml: models.shapes-cnn.overrides.epoch: .* 'epochs'"):
        train.run(NAME)


def test_an_absent_gpu_is_told(shapes, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    change(device="cuda")
    with pytest.raises(UserError, match=r"params.yaml: models.shapes-cnn.device: 'cuda' is demanded"):
        train.run(NAME)


def test_a_batch_size_that_the_memory_chose_is_taken_again(shapes, monkeypatch):
    def trained(room: int, **entry: object) -> int:
        monkeypatch.setattr(memory, "available", lambda: room)
        change(**entry)
        train.run(NAME)
        return checkpoint.load(layout.trained(NAME)).config.batch_size

    monkeypatch.setattr(footprint, "STEPS_IN_EPOCH", 1)
    small, large = 10**9, 10**11
    assert trained(large, overrides=SHORT | {"batch_size": "auto"}) == 32  # of 60 examples
    once = outs()
    assert trained(small) == 32
    assert outs() == once
    # What it was found for is another training than this.
    monkeypatch.setattr(footprint, "fits", lambda _, config, *__: config.batch_size <= 8)
    assert trained(large, seed=1) == 8
    # And what a registered version took is taken whatever there is room for.
    batch_size.keep(NAME, 16, None)
    assert trained(large) == 16
    # It is the training with that number.
    chosen = outs()
    assert trained(large, overrides=SHORT | {"batch_size": 16}) == 16
    assert outs() == chosen


def test_a_killed_training_goes_on_with_the_batch_size_that_it_began_with(shapes, monkeypatch):
    points = []
    monkeypatch.setattr(footprint, "STEPS_IN_EPOCH", 1)
    change(overrides=SHORT | {"batch_size": "auto"})
    for largest in (8, 4):
        monkeypatch.setattr(footprint, "fits", lambda _, config, *__, most=largest: config.batch_size <= most)
        points.append(resume_point(monkeypatch))
    assert points[0] == points[1]
    assert batch_size.kept(NAME, "another") is None


@pytest.mark.parametrize("rehearsed", [True, False])
def test_a_gpu_without_room_says_which_setting_to_change(shapes, monkeypatch, rehearsed):
    update = loop._Training.update

    def step(training, *batch):
        if isinstance(training.run, Rehearsal) == rehearsed:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        update(training, *batch)

    monkeypatch.setattr(loop._Training, "update", step)
    key = re.escape("params.yaml: models.shapes-cnn.overrides.batch_size: 64 -> 30: ")  # of 60 examples
    with pytest.raises(UserError, match=rf"^{key}.*image\.height.*widths \(\(4, 8\)\)"):
        train.run(NAME)
    assert not layout.trained(NAME).exists()


def test_the_command_tells_a_mistake_in_one_line(shapes):
    command = [sys.executable, "-m", "components.train", "shape-cnn"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr == (
        "error: params.yaml: no model 'shape-cnn' under 'models'. Did you mean 'shapes-cnn'?"
        " It can be: shapes-cnn, shapes-gmm, shapes-logreg, shapes-vae, shapes-vae-by-class.\n"
    )
