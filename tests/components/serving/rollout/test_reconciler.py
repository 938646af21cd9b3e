"""Following the registry: what becomes champion is served, what is bad is refused, what was good goes on."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import onnx
import psutil
import pytest
from safetensors.numpy import load_file, save_file

from components import register
from components.bundles import bundle
from components.project import layout
from components.registry import mlflow_store, versions
from components.serving import follower
from components.serving.follower import Follower
from components.serving.rollout.state import FOLDER, ControlsFile
from tests.components import workspace
from tests.components.serving.server import Client, Server
from tests.components.serving.shop import until, version_of

POLL = ("--poll", "0.1")


class Shop:
    """A worker, and the follower in the test's own process, which looks when it is told to."""

    def __init__(self, folder: Path) -> None:
        self.follower = Follower(challengers=False)
        self.follower.poll()
        self.server = Server(folder, worker={})
        self.client: Client = self.server.client()

    def promote(self, number: int) -> None:
        """Move the alias, and let the follower look."""
        versions.point("m", "champion", number)
        self.follower.poll()

    @property
    def version(self) -> str:
        return version_of(self.client)

    @property
    def refused(self) -> dict[str, str] | None:
        """The line of the index about what is refused."""
        index = self.client.post("/v2/repository/index")
        return next((entry for entry in index if entry["state"] == "UNAVAILABLE"), None)

    def ask_for(self, action: str) -> tuple[int, dict[str, str]]:
        """Load or unload ``m``; meanwhile the follower does what it does by itself."""
        before = ControlsFile().read().asked

        def follow() -> None:
            while (asked := ControlsFile().read().asked) == before:
                time.sleep(0.01)
            self.follower.poll(asked)

        looking = threading.Thread(target=follow)
        looking.start()
        status, body, _ = self.client.ask("POST", f"/v2/repository/models/m/{action}", {})
        looking.join()
        return status, json.loads(body)


@pytest.fixture
def open_shop(shop) -> Iterator[Shop]:
    """A shop whose bundles lie in the artifact store alone: no other copy helps where that is bad."""
    shutil.rmtree(layout.bundle("m"))
    opened = Shop(shop)
    with opened.server:
        yield opened


def store_of(number: int) -> Path:
    """The folder of a version's bundle in the artifact store."""
    version = versions.model("m").version(number)
    (found,) = layout.MLFLOW.glob(f"artifacts/**/{version.run_id}/artifacts/model/bundle")
    return found


def metrics(client: Client) -> str:
    return client.ask("GET", "/metrics")[1].decode()


def test_a_promotion_is_followed_and_a_rollback_too(shop):
    with Server(shop, *POLL) as server:
        client = server.client()
        assert version_of(client) == "1"
        (follower,) = (
            child
            for child in psutil.Process(server.process.pid).children()
            if "components.serving.follower" in child.cmdline()
        )
        assert follower.nice() == min(
            19, psutil.Process(server.process.pid).nice() + 10
        )  # what was promoted can wait, requests cannot
        versions.point("m", "champion", 2)
        until(lambda: version_of(client) == "2")
        assert client.get("/v2/models/m")["parameters"]["bundle_sha256"] == bundle.sha256(layout.bundle("m"))
        versions.point("m", "champion", 1)
        until(lambda: version_of(client) == "1")
        status, answer, _ = client.ask("GET", "/v2/models/m/versions/2")
        assert status == 404 and "version 1 is" in json.loads(answer)["error"]
        assert 'darkroom_served_version{model="m",version="1"} 1' in metrics(client)
        assert 'darkroom_reloads_total{model="m",outcome="swapped"} 3' in metrics(client)
        assert "darkroom_registry_up 1" in metrics(client)


def _truncate(folder: Path) -> None:
    content = (folder / "1/model.onnx").read_bytes()
    (folder / "1/model.onnx").write_bytes(content[: len(content) // 2])


def _change(folder: Path) -> None:
    content = bytearray((folder / "golden.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "golden.safetensors").write_bytes(bytes(content))


def _link(folder: Path) -> None:
    outside = folder.parents[1] / "outside"
    (folder / "1/model.onnx").rename(outside)
    (folder / "1/model.onnx").symlink_to(outside)


def _escape(folder: Path) -> None:
    values = json.loads((folder / "bundle.json").read_text())
    values["sha256"]["../../../secret"] = "0" * 64
    (folder / "bundle.json").write_text(json.dumps(values))


def _outside_data(folder: Path) -> None:
    model = onnx.load(folder / "1/model.onnx")
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == "weights")
    onnx.external_data_helper.set_external_data(weights, "../golden.safetensors", 0, 4)
    weights.ClearField("raw_data")
    (folder / "1/model.onnx").write_bytes(model.SerializeToString())


def _remove(folder: Path) -> None:
    shutil.rmtree(folder)


def _other_signature(folder: Path) -> None:
    _describe(folder, lambda values: values["inputs"][0].update(shape=[-1, 8, 8, 1]))


def _wrong_golden(folder: Path) -> None:
    golden = load_file(folder / "golden.safetensors")
    golden["output/probabilities"] = 1 - golden["output/probabilities"]
    save_file(golden, folder / "golden.safetensors")
    found = hashlib.sha256((folder / "golden.safetensors").read_bytes()).hexdigest()
    _describe(folder, lambda values: values["sha256"].update({"golden.safetensors": found}))


def _describe(folder: Path, change) -> None:
    """Change ``bundle.json`` and register that, as something else than our stages might: hash right, bundle wrong."""
    values = json.loads((folder / "bundle.json").read_text())
    change(values)
    (folder / "bundle.json").write_text(json.dumps(values))
    mlflow_store.client().set_model_version_tag("m", "2", versions.BUNDLE_TAG, bundle.sha256(folder))


SPOILT = {
    _truncate: "not the one that was registered",
    _change: "not the one that was registered",
    _link: "cannot be downloaded|not the one that was registered",
    _escape: "not the one that was registered",
    _outside_data: "not the one that was registered",
    _remove: "cannot be downloaded",
    _other_signature: "not the one that was registered",
    _wrong_golden: "the golden examples are answered wrong",
}
"""Ways to spoil a bundle in the artifact store, and what is then said."""


def test_bad_bundles_are_refused_and_the_champion_untouched(open_shop, tmp_path):
    folder, whole = store_of(2), tmp_path / "whole"
    shutil.copytree(folder, whole)
    for number, (spoil, told) in enumerate(SPOILT.items(), start=1):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder)
        spoil(folder)
        open_shop.promote(2)
        refused = until(lambda: open_shop.refused)
        assert refused["version"] == "2" and re.search(told, refused["reason"]), (spoil, refused)
        assert open_shop.version == "1" and open_shop.client.get("/v2/health/ready")["ready"]
        counted = metrics(open_shop.client)
        assert 'darkroom_refused_version{model="m",version="2"} 1' in counted
        assert f'darkroom_reloads_total{{model="m",outcome="refused"}} {number}' in counted
        # A champion that is good is all that it takes.
        open_shop.promote(1)
        until(lambda: open_shop.refused is None)
        assert open_shop.version == "1"
    assert open_shop.follower.state.champions["m"].version == "1"


def test_what_was_refused_is_looked_at_again_when_asked_for(open_shop):
    folder = store_of(2)
    folder.rename(folder.with_name("away"))
    open_shop.promote(2)
    assert "cannot be downloaded" in until(lambda: open_shop.refused)["reason"]
    status, answer = open_shop.ask_for("load")
    assert status == 400 and "version 2 was refused" in answer["error"]
    folder.with_name("away").rename(folder)
    assert open_shop.ask_for("load")[0] == 200
    assert open_shop.version == "2" and open_shop.refused is None


def test_what_was_refused_is_tried_again_after_a_while(open_shop, monkeypatch):
    folder = store_of(2)
    folder.rename(folder.with_name("away"))
    open_shop.promote(2)
    until(lambda: open_shop.refused)
    folder.with_name("away").rename(folder)
    open_shop.follower.poll()
    assert "m" in open_shop.follower.state.refused  # not with every look: a download takes its time
    monkeypatch.setattr(follower, "RETRY_S", 0)
    open_shop.follower.poll()
    until(lambda: open_shop.version == "2")
    until(lambda: open_shop.refused is None)


def test_the_worker_verifies_again_what_the_follower_found_good(open_shop):
    """As when the cache is damaged between the two: what runs is what was hashed a moment before."""
    versions.point("m", "champion", 2)
    kept = versions.fetch(versions.champion("m")).folder
    truth = open_shop.follower.state
    _truncate(kept)
    champions = {"m": {"version": "2", "sha256": kept.name}}
    state = json.loads((FOLDER / "champions.json").read_text()) | {"champions": champions}
    (FOLDER / "champions.json").write_text(json.dumps(state))
    assert "was changed or cut" in until(lambda: open_shop.refused)["reason"]
    assert open_shop.version == "1" and truth.champions["m"].version == "1"
    state["champions"]["m"] = {"version": "1", "sha256": truth.champions["m"].sha256}
    (FOLDER / "champions.json").write_text(json.dumps(state))
    until(lambda: open_shop.refused is None)
    assert open_shop.version == "1"


def test_what_is_not_ours_is_refused(open_shop):
    mlflow_store.client().create_model_version("m", "nowhere/else")
    open_shop.promote(3)
    assert "not registered by Darkroom" in until(lambda: open_shop.refused)["reason"]
    assert open_shop.version == "1"


def test_a_registry_that_was_emptied_takes_nothing_away(open_shop):
    mlflow_store.client().delete_registered_model("m")
    open_shop.follower.poll()
    until(lambda: "darkroom_registry_up 0" in metrics(open_shop.client))
    assert open_shop.version == "1"


def test_a_registry_whose_file_is_gone_is_told_and_one_that_was_put_back_is_followed(open_shop):
    database = layout.MLFLOW / "mlflow.db"
    copied = Path(shutil.copy(database, database.with_name("copied")))
    database.rename(database.with_name("gone"))
    open_shop.follower.poll()
    until(lambda: "darkroom_registry_up 0" in metrics(open_shop.client))
    assert open_shop.follower.state.error.endswith("mlflow.db: the registry's file is gone. Put it back.")
    assert open_shop.version == "1" and not database.exists()
    copied.replace(database)  # as from a backup: another file of the same name
    open_shop.promote(2)
    until(lambda: "darkroom_registry_up 1" in metrics(open_shop.client))
    until(lambda: open_shop.version == "2")


def test_a_model_without_a_champion_is_served_no_more(open_shop):
    workspace.write_params({}, names=("m", "other"))
    workspace.export("other")
    register.run("other")
    versions.point("other", "champion", 1)
    mlflow_store.client().delete_registered_model_alias("m", "champion")
    open_shop.follower.poll()

    def ready() -> dict[str, bool]:
        asked = {name: open_shop.client.ask("GET", f"/v2/models/{name}/ready")[0] for name in ("m", "other")}
        return {name: status == 200 for name, status in asked.items()}

    assert until(lambda: ready() == {"m": False, "other": True})


def test_a_bundle_that_kills_the_follower_is_not_tried_for_ever(open_shop):
    # What a follower leaves that died while it verified version 2.
    state = json.loads((FOLDER / "champions.json").read_text())
    state["checking"] = versions.model("m").version(2).bundle_sha256
    (FOLDER / "champions.json").write_text(json.dumps(state))
    open_shop.follower = Follower(challengers=False)
    open_shop.promote(2)
    assert "crashed the process that verified it" in until(lambda: open_shop.refused)["reason"]
    assert open_shop.version == "1"
    assert open_shop.ask_for("load") == (200, {"name": "m", "state": "READY"})  # an operator who knows better
    assert open_shop.version == "2"


def test_unloaded_stays_unloaded_across_a_restart(open_shop, shop):
    assert open_shop.ask_for("unload")[0] == 200
    with Server(shop, worker={}) as again:
        assert again.client().ask("GET", "/v2/models/m/ready")[0] == 404
    open_shop.ask_for("load")
    assert open_shop.version == "1"


def test_killed_and_started_again_with_the_registry_gone(shop):
    with Server(shop, *POLL) as server:
        assert version_of(server.client()) == "1"
        server.process.kill()
        server.process.wait()
    shutil.move(layout.MLFLOW, shop / "gone")
    layout.MLFLOW.write_text("a file where the folder was: nothing can be opened or made there")
    started = time.monotonic()
    with Server(shop, *POLL, "--port", str(server.port)) as again:
        client = again.client()
        assert version_of(client) == "1"
        took = time.monotonic() - started
        until(lambda: "darkroom_registry_up 0" in metrics(client))
        assert client.get("/v2/health/ready")["ready"]
        # The registry comes back, and is followed again.
        layout.MLFLOW.unlink()
        shutil.move(shop / "gone", layout.MLFLOW)
        versions.point("m", "champion", 2)
        until(lambda: version_of(client) == "2")
    assert took < 15, f"{took:.1f} s"  # 3 on a machine that does nothing else, which no test can ask for


def test_a_damaged_state_file_is_written_anew(open_shop):
    for text in ("", "{", '{"champions": {"m": {"number": 1}}}', '{"chmpions": {}}', "[1]"):
        (FOLDER / "champions.json").write_text(text)
        time.sleep(0.1)
        assert open_shop.version == "1"  # a worker keeps what it has
        open_shop.follower = Follower(challengers=False)
        open_shop.promote(2)
        until(lambda: open_shop.version == "2")
        open_shop.promote(1)
        until(lambda: open_shop.version == "1")


def test_challengers_are_named_where_they_are_to_be_tried(shop):
    challenger = versions.model("m").alias("challenger")  # as registration left it
    assert challenger.number == 2
    asked = Follower(challengers=True)
    asked.poll()
    assert asked.state.challengers["m"].sha256 == challenger.bundle_sha256
    unasked = Follower(challengers=False)
    unasked.poll()
    assert unasked.state.challengers == {}
    versions.point("m", "challenger", 1)  # the champion itself is none
    asked.poll()
    assert asked.state.challengers == {}
    _truncate(store_of(2))
    shutil.rmtree(versions.fetch(versions.model("m").version(1)).folder.parent / challenger.bundle_sha256)
    versions.point("m", "challenger", 2)
    asked.poll()
    assert asked.state.challengers == {} and asked.state.champions["m"].version == "1"
