"""The run: device, seeds, resume points that bring everything back, and when one is due."""

from __future__ import annotations

import time

import pytest
import torch

from data.errors import UserError
from models.run import Run, find_device, forget, processor


def draws(run: Run) -> list[float]:
    return [float(torch.rand(1)), float(torch.rand(1, generator=run.generator))]


def test_a_demanded_gpu_that_is_absent_is_a_user_s_mistake(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"params.yaml: models.m.device: 'cuda' is demanded"):
        find_device("cuda", "params.yaml: models.m.device")
    assert find_device("auto").type == find_device("cpu").type == "cpu"


def test_auto_takes_the_gpu_that_is_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert find_device("auto").type == find_device("cuda").type == "cuda"
    assert find_device("cpu").type == "cpu"


def test_a_cpu_is_of_another_kind_where_pytorch_uses_another_instruction_set(monkeypatch):
    here = processor(torch.device("cpu"))
    assert torch.backends.cpu.get_cpu_capability() in here
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "ANOTHER")
    assert processor(torch.device("cpu")) != here


def test_the_seed_decides_every_draw():
    results = []
    for seed in (1, 1, 2):
        with Run("m", seed=seed) as run:
            results.append(draws(run))
    assert results[0] == results[1] != results[2]


def test_arithmetic_is_deterministic_and_threads_are_fixed():
    with Run("m", threads=1):
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.get_num_threads() == 1


def test_a_restored_run_draws_what_it_would_have_drawn(tmp_path):
    file = tmp_path / "point"
    with Run("m", seed=5, resume_file=file) as run:
        draws(run)
        run.record(step=1, train_loss=0.1 + 0.2)
        run.save({"step": 1, "weights": torch.arange(3.0)})
        history, expected = list(run.history), draws(run)
    with Run("m", seed=5, resume_file=file) as again:
        state = again.restore()
        assert state["step"] == 1
        assert torch.equal(state["weights"], torch.arange(3.0))
        assert again.history == history
        assert draws(again) == expected


def test_without_a_resume_point_there_is_nothing_to_restore(tmp_path):
    with Run("m") as run:
        assert run.restore() is None
        assert not run.save_due()
    with Run("m", resume_file=tmp_path / "point") as run:
        assert run.restore() is None


def test_a_damaged_resume_point_is_discarded_with_a_line(tmp_path, capsys):
    file = tmp_path / "point"
    with Run("m", resume_file=file) as run:
        run.save({"weights": torch.arange(3.0)})
        content = file.read_bytes()
        file.write_bytes(content[:-1] + b"x")
        assert run.restore() is None
        assert not file.exists()
        assert f"discarded, the training starts over: {file}: " in capsys.readouterr().err
        file.write_bytes(content[:-1])
        assert not run.resumes("")
        file.write_bytes(content)
        assert run.resumes("")


def test_resume_points_keep_their_distance(tmp_path):
    with Run("m", resume_file=tmp_path / "point", save_seconds=0.05) as run:
        assert not run.save_due()
        time.sleep(0.06)
        assert run.save_due()
        run.save({})
        assert not run.save_due()


def test_large_models_have_fewer_resume_points(tmp_path):
    with Run("m", resume_file=tmp_path / "point", save_seconds=0.0, save_share=1e-6) as run:
        run.save({"weights": torch.zeros(100_000)})
        assert not run.save_due()  # a millionth of the time: not for minutes


def test_a_phase_that_is_over_has_columns_of_its_own():
    with Run("m") as run:
        run.record(step=3, train_loss=0.5, validation_loss=0.7)
        run.name_phase("source")
        run.record(step=4, train_loss=0.3)
    assert run.history == [
        {"step": 3, "train_source_loss": 0.5, "validation_source_loss": 0.7},
        {"step": 4, "train_loss": 0.3},
    ]


def test_forgotten_points_are_gone(tmp_path):
    (tmp_path / "m" / "key").mkdir(parents=True)
    (tmp_path / "m" / "key" / "point").write_text("")
    forget(tmp_path / "m")
    forget(tmp_path / "m")
    assert not (tmp_path / "m").exists()
