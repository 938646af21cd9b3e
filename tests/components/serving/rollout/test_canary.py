"""Challengers on trial answer a share of requests: sticky, raised in steps, and taken back by all workers at once."""

from __future__ import annotations

import io
import itertools
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper
from onnxscript import ir
from PIL import Image

from components.bundles import onnx_export
from components.project.sections import CanaryPolicy
from components.serving.rollout import fallen
from components.serving.rollout.canary import _Canary
from components.serving.rollout.state import BUNDLES, State, StateFile, Target
from components.serving.rollout.trial import Demand, judge
from components.serving.telemetry.tried import TrialRecord
from tests.components.serving import bundles
from tests.components.serving.server import Client, Server
from tests.components.serving.shop import until

BRIGHT = {"image": np.full((1, 4, 4, 1), 200, np.uint8)}
DARK = {"image": np.full((1, 4, 4, 1), 9, np.uint8)}
ASKED = {
    "requests": 20,
    "agreement": 0.9,
    "failures": 0.0,
    "latency": None,
    "steps": [20, 50],
    "key": "X-User",
}
DEMAND = Demand(40, 0.9, 0.0, None)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put_on_trial(challenger: str) -> tuple[str, str]:
    """Have a challenger of ``made/2`` answer beside a champion, as a follower would say; return both hashes."""
    champion = bundles.write(Path("made/1"))
    BUNDLES.mkdir(parents=True, exist_ok=True)
    for number, sha256 in (("1", champion), ("2", challenger)):
        (Path("made") / number).rename(BUNDLES / sha256)
    StateFile().write(
        State({"m": Target("1", champion)}, {"m": Target("2", challenger)}, on_trial=("m",), complete=True)
    )
    return champion, challenger


def share_of(client: Client) -> float | None:
    told = client.ask("GET", "/metrics")[1].decode()
    found = re.search(r'^darkroom_canary_share\{model="m",version="2"\} (.*)$', told, re.MULTILINE)
    return float(found[1]) if found else None


def brittle() -> str:
    """Write a classifier to ``made/2`` that answers NaN to dark pictures; return its hash."""
    nodes, constants = bundles._sums(0, density=False, slow=False)
    *first, last = nodes
    constants |= {"least": np.float32(1000), "zero": np.float32(0)}
    last.input[0] = "checked"
    nodes = [
        *first,
        helper.make_node("Sub", ["sums", "least"], ["above"]),
        helper.make_node("Gather", ["above", "place"], ["first"], axis=1),
        helper.make_node("Sqrt", ["first"], ["root"]),
        helper.make_node("Mul", ["root", "zero"], ["nothing"]),
        helper.make_node("Add", ["sums", "nothing"], ["checked"]),
        last,
    ]
    constants["place"] = np.array([0])
    inputs, outputs = bundles.SIGNATURES["classification"]
    graph = helper.make_graph(
        nodes,
        "brittle",
        [bundles._value(tensor) for tensor in inputs],
        [bundles._value(tensor) for tensor in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    given = bundles.example("classification", 4)
    return bundles.wrap(
        Path("made/2"),
        onnx_export.serialize(ir.from_proto(model)),
        "classification",
        (inputs, outputs),
        given,
        bundles.answers("classification", given),
    )


def test_two_workers_raise_the_share_and_fall_back_within_a_second(folder):
    # The challenger's most likely class is another one as soon as the pixels sum up to less than its mark.
    pair = put_on_trial(bundles.write(Path("made/2"), mark=1000))
    settings = {"workers": 2, "canaries": {"m": ASKED}}
    with ExitStack() as stack:
        workers = [stack.enter_context(Server(folder, worker=settings, number=n)) for n in range(2)]
        clients = itertools.cycle([worker.client() for worker in workers])
        asking = ((next(clients), f"user {n % 40}") for n in itertools.count())

        agreed = [0]

        def ask(given: dict[str, np.ndarray]) -> tuple[str, str]:
            client, user = next(asking)
            version = client.infer("m", given, **{"X-User": user})[0]
            agreed[0] += given is BRIGHT and version == "2"
            return user, version

        until(lambda: all(share_of(worker.client()) == 0.2 for worker in workers))
        few = {user for user, version in (ask(BRIGHT) for _ in range(80)) if version == "2"}
        until(lambda: ask(BRIGHT) and all(share_of(worker.client()) == 0.5 for worker in workers))
        half = {user for user, version in (ask(BRIGHT) for _ in range(80)) if version == "2"}
        assert 0 < len(few) < len(half) < 40 and few < half  # raised, and whoever had it keeps it

        disagreed, crossed, now = 0, 0.0, 0.0
        while not crossed or now - crossed < 2.0:
            version, now = ask(DARK)[1], time.monotonic()
            if version == "2":
                disagreed += 1
                assert not crossed or now - crossed < 1.0
            counted = TrialRecord(*pair, agreed[0], disagreed, 0, 0, 0.0)
            if not crossed and judge(counted, DEMAND).verdict == "failed":
                crossed = now
        assert [share_of(worker.client()) for worker in workers] == [0.0, 0.0]
        assert "less than 90.0%" in fallen.read(*pair, DEMAND)[0]


@pytest.fixture
def failing(folder) -> Iterator[tuple[Server, tuple[str, str]]]:
    """A worker whose challenger answers every request, and fails on dark pictures."""
    pair = put_on_trial(brittle())
    asked = ASKED | {"requests": 1000, "steps": [100], "key": ""}
    with Server(folder, worker={"canaries": {"m": asked}}) as server:
        until(lambda: share_of(server.client()) == 1.0)
        yield server, pair


def test_the_champion_answers_where_the_challenger_fails_and_from_then_on(failing, folder):
    server, pair = failing
    client, demand = server.client(), Demand(1000, 0.9, 0.0, None)
    assert client.infer("m", BRIGHT)[0] == "2"
    assert client.get("/v2/models/m")["versions"] == ["1"]
    assert client.ask("POST", "/v2/models/m/versions/1/infer", b"{}")[0] == 400
    bright = io.BytesIO()
    Image.fromarray(BRIGHT["image"][0, :, :, 0]).save(bright, "PNG")
    status, body, _ = client.ask("POST", "/models/m/predict", bright.getvalue())
    assert status == 200 and b'"version":"2"' in body
    version, outputs = client.infer("m", DARK)
    assert version == "1" and outputs["probabilities"][0, 0] == 144  # nobody but the counters knows
    until(lambda: client.infer("m", BRIGHT)[0] == "1", seconds=1)
    assert "failed on 1 of" in fallen.read(*pair, demand)[0]
    told = client.ask("GET", "/metrics")[1].decode()
    assert re.search(r'darkroom_canary_total\{.*outcome="failed"\} 1', told)
    with Server(
        folder, worker={"canaries": {"m": ASKED | {"requests": 1000, "steps": [100], "key": ""}}}
    ) as again:
        until(lambda: share_of(again.client()) == 0.0)  # a restart is no second chance
        assert again.client().infer("m", BRIGHT)[0] == "1"


def test_one_that_takes_other_requests_never_answers(folder):
    pair = put_on_trial(bundles.write(Path("made/2"), "generation"))
    with Server(folder, worker={"canaries": {"m": ASKED}}) as server:
        until(lambda: share_of(server.client()) == 0.0)
        assert fallen.read(*pair, DEMAND)[0].startswith(
            "cannot take the champion's requests: it has other inputs"
        )


def test_a_larger_share_keeps_whom_a_smaller_one_has():
    class Bundle:
        sha256 = "d" * 64

    class Challenger:
        bundle = Bundle

    def of(share: float) -> set[int]:
        canary = _Canary(None, Challenger, share, b"")
        return {number for number in range(4000) if canary.is_for(f"user {number}")}

    found = [of(share) for share in (0.0, 0.01, 0.05, 0.25, 0.5, 1.0)]
    assert all(fewer < more for fewer, more in itertools.pairwise(found))
    assert [len(some) / 4000 for some in found] == pytest.approx([0, 0.01, 0.05, 0.25, 0.5, 1], abs=0.02)


@pytest.mark.parametrize("values", [{"steps": []}, {"steps": [5, 1]}, {"steps": [50, 101]}, {"key": "x y"}])
def test_a_canary_that_cannot_be_is_refused(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        CanaryPolicy.model_validate(values)
