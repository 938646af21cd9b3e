"""What people read: the sentences of ``params.yaml``'s mistakes, of the gate, and of the tables, each written out here.

Other tests assert evidence: files, keys, values and exit statuses. So a sentence is changed in one place. Help is in
``docs/reference/command-line.md``.
"""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path

import pytest
import typer
import yaml

from components import gate, register
from components.bundles.bundle import Bundle
from components.project import layout, params
from components.project.sections import GatePolicy
from components.promotion import checks, smoke_test
from components.promotion.smoke_test import SmokeTest
from data import atomic
from data.errors import UserError
from data.prepared import PreparedData
from flows.cli import registry
from tests.components import workspace
from tests.components.conftest import sqlite_project, sqlite_template  # noqa: F401 -- fixtures
from tests.flows.cli import command, reference

CNN = {"family": "cnn", "dataset": "shapes"}
LORA = {"family": "lora", "dataset": "shapes", "base": "one"}
QUICK = SmokeTest(median_latency_ms=2.0, processor_ms=1.2, tries=5, memory_mb=100.0, start_s=1.0)


def thresholds(**bounds: dict) -> dict:
    return {"gate": {"one": {"thresholds": bounds}}}


def test_help_is_the_reference():
    """Write it again: ``python -m tests.flows.cli.reference``."""
    assert reference.FILE.read_text() == reference.text()


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"models": {"one": {"family": "cnn"}}}, "models.one.dataset: is missing."),
        ({"models": {"one": CNN | {"family": "cmm"}}}, "models.one.family: no family 'cmm'. It can be: cnn, lora."),
        (
            {"models": {"one": CNN | {"dataset": "shpes"}}},
            "models.one.dataset: no data set 'shpes'. Did you mean 'shapes'? It can be: shapes.",
        ),
        (
            {"models": {"one": CNN | {"sede": 3}}},
            "models.one.sede: unknown key. Did you mean 'seed'? "
            "It can be: base, dataset, device, family, gpus, overrides, preset, seed, threads, variants.",
        ),
        (
            {"models": {"one": CNN | {"preset": "quik"}}},
            "models.one.preset: 'quik' is no choice. Did you mean 'quick'? It can be: full, quick.",
        ),
        ({"models": {"a.b": CNN}}, "models: 'a.b': a name takes letters, digits, '-' and '_', and begins with no '-'."),
        (
            {"models": {"one": LORA}},
            "models.one.base: what starts from another model's weights belongs under 'fine_tuned'.",
        ),
        ({"fine_tuned": {"two": CNN}}, "fine_tuned.two.base: is missing: the model whose weights it starts from."),
        (
            {"fine_tuned": {"two": LORA | {"base": "oen"}}},
            "fine_tuned.two.base: no model 'oen'. Did you mean 'one'? It can be: one.",
        ),
        ({"fine_tuned": {"one": LORA}}, "'one' is there twice, under 'models' and under 'fine_tuned'."),
        (
            {"fine_tuned": {"two": LORA | {"overrides": {"base": {}}}}},
            "fine_tuned.two.overrides.base: is what 'one' was trained with; nothing else fits.",
        ),
        (
            {"label_errors": {"shpes": {}}},
            "label_errors: no data set 'shpes'. Did you mean 'shapes'? It can be: shapes.",
        ),
        (
            {"label_errors": {"shapes": {"fold": 3}}},
            "label_errors.shapes.fold: unknown key. Did you mean 'folds'? It can be: folds.",
        ),
        ({"judges": ["shpes"]}, "judges: no data set 'shpes'. Did you mean 'shapes'? It can be: shapes."),
        ({"gate": {"oen": {}}}, "gate.oen: no such model. Did you mean 'one'? It can be: one."),
        (thresholds(accuracy={}), "gate.one.thresholds.accuracy: a threshold needs at_least or at_most (got {})"),
        (
            thresholds(accuracy={"at_least": 0.9, "at_most": 0.1}),
            "gate.one.thresholds.accuracy: no number is at least 0.9 and at most 0.1 "
            "(got {'at_least': 0.9, 'at_most': 0.1})",
        ),
        ({"time_limits": {"train": 0}}, "time_limits.train: Input should be greater than 0 (got 0)"),
        (
            {"serve": {"one": {"max_batsch": 1}}},
            "serve.one.max_batsch: unknown key. Did you mean 'max_batch'? "
            "It can be: batching, max_batch, max_queue, max_rows, max_wait_ms, precision.",
        ),
    ],
)  # fmt: skip
def test_a_mistake_in_params(tmp_path, monkeypatch, sections, says):
    monkeypatch.chdir(tmp_path)
    for family in ("cnn", "lora"):
        atomic.write_text(Path("models") / family / "__init__.py", "")
    atomic.write_text(Path("data/shapes/dataset.yaml"), "")
    sound = {"datasets": {"shapes": "data/shapes/dataset.yaml"}, "judges": ["shapes"], "models": {"one": CNN}}
    params.FILE.write_text(yaml.safe_dump(sound | sections))
    with pytest.raises(UserError) as caught:
        params.load()
    assert str(caught.value) == f"params.yaml: {says}"


@pytest.fixture
def call(sqlite_project, monkeypatch):  # noqa: F811
    """Give the registry's commands, over a server that takes always the same time."""
    monkeypatch.setattr(smoke_test, "run", lambda *_: QUICK)
    app = typer.Typer()
    registry.add_to(app)
    return partial(command.call, app)


def put(least: float, **settings: object) -> None:
    workspace.write_params({"m": {"thresholds": {"accuracy": {"at_least": least}}}})
    workspace.export(**settings)
    register.run("m")


def plain(said: str) -> list[str]:
    """Return the lines, numbers of computations as ``#``."""
    return [re.sub(r"-?\d+\.\d{3,}", "#", line).rstrip() for line in said.splitlines()]


def test_the_registry_s_commands(call):
    assert plain(call("status")) == ["nothing is registered yet: darkroom run"]
    put(0.7)
    assert plain(call("promote", "m")) == [
        "m version 1: promoted",
        "  data: shapes passed its validation",
        "  thresholds: accuracy is #, must be at least 0.7",
        "  comparison: no champion yet to compare with",
        "  parity: ONNX Runtime agreed with PyTorch at export, at batches of 1",
        "  service: a fresh server gave the golden answers",
        "  service: an answer takes 2.00 ms (median; at most 100)",
        "  service: it takes 100 MiB (at most 2048)",
    ]
    put(1.1, noise=0.6, seed=1)
    against = [
        "  thresholds: accuracy is #, must be at least 1.1",
        "  comparison: accuracy: worse than the champion: #, paired 95 % interval [#, #], n = 300; "
        "must lie wholly above -0.01",
    ]
    refused = plain(call("promote", "m", code=1))
    assert refused[:3] == ["m version 2: refused", *against]
    assert refused[3] == (
        "  comparison: accuracy on class 'dot': worse than the champion: #, paired 95 % interval [#, #], n = 100; "
        "must reach up to -0.1"
    )
    waived = plain(call("promote", "m", "--waive", "a show", "--by", "ada"))
    assert waived[:4] == ["m version 2: promoted", "  waived by ada: a show", *against]
    assert plain(call("status")) == [
        "model  champion  challenger  previous  last decision  note",
        "m      2         -           1         2 promoted",
    ]
    assert plain(call("rollback", "m", "--to", "1")) == [
        "m: version 1 is champion again, in place of version 2."
    ]
    assert plain(call("rollback", "m", "--to", "1")) == ["m: version 1 is champion already."]


def test_what_the_gate_holds_against_a_bundle(sqlite_project, monkeypatch):  # noqa: F811
    put(0.7)
    bundle, present = Bundle.open(layout.bundle("m")), PreparedData(layout.prepared("shapes"))
    typo = GatePolicy.model_validate({"thresholds": {"acuracy": {"at_least": 0.5}}})
    assert checks.thresholds("m", bundle, GatePolicy()).bad == (
        "params.yaml: gate.m.thresholds: none: a model without thresholds is never promoted",
    )
    (unknown,) = checks.thresholds("m", bundle, typo).bad
    assert unknown.startswith(
        "params.yaml: gate.m.thresholds.acuracy: the model has no such metric. Did you mean 'accuracy'?"
    )

    file = layout.validation_file("shapes")
    verdict = json.loads(file.read_text())
    for changed, says in (
        (
            {"manifest": "0" * 64},
            f"{file}: is about another manifest than the one in {layout.ingested('shapes')}",
        ),
        ({"success": False}, f"{file}: shapes failed its validation"),
    ):
        atomic.write_json(file, verdict | changed)
        assert checks.data(bundle, present).bad == (says,)
    file.unlink()
    assert checks.data(bundle, present).bad == (f"{file}: not found: shapes has not passed its validation",)

    monkeypatch.setattr(smoke_test, "run", lambda *_: QUICK)
    assert checks.service(bundle, GatePolicy(max_latency_ms=1, max_memory_mb=10)).bad == (
        "an answer takes 2.00 ms (median; at most 1): the best of 5 tries; the processor worked 1.20 ms of it",
        "it takes 100 MiB (at most 10)",
    )
    bundle.description.pop("parity")
    assert checks.parity(bundle).bad == ("was exported without a comparison of ONNX Runtime with PyTorch",)
    with pytest.raises(UserError) as caught:
        gate.Waiver("", "a show")
    assert str(caught.value) == "a waiver needs both a reason (--waive) and who gives it (--by)."
