"""``darkroom serve`` and ``serve-token``: what is given becomes the server's settings, and mistakes are told."""

from __future__ import annotations

import json
from functools import partial

import pytest

from components.serving import supervisor
from components.serving.settings import ModelSettings
from data.errors import UserError
from flows.cli import serve
from flows.cli.app import app
from tests.flows.cli import command

serve.add_to(app)


@pytest.fixture
def served(tmp_path, monkeypatch) -> list:
    """The settings of servers that would have been started."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("serve: {slow: {max_rows: 4, batching: false}}\n")
    settings = []

    def run(given, announce) -> int:
        settings.append(given)
        announce({"host": given.host, "port": 8080, "models": 1})
        return 0

    monkeypatch.setattr(supervisor, "run", run)
    monkeypatch.setattr(serve, "CALLED_FROM", tmp_path / "below")
    return settings


call = partial(command.call, app)


def test_options_and_params_become_settings(served, tmp_path):
    told = call("serve", "--port", "9", "--bundle", "m=here/m", "--workers", "3", "--shadow", "0.5")
    assert told == "1 model; Ctrl+C ends it\nhttp://127.0.0.1:8080\n"
    (settings,) = served
    assert (settings.port, settings.workers, settings.shadow) == (9, 3, 0.5)
    assert settings.bundles == {"m": str(tmp_path / "below/here/m")}  # as the user meant it
    assert settings.of("slow") == ModelSettings(max_rows=4, batching=False)
    assert settings.of("m") == ModelSettings()


def test_an_address_of_ipv6_is_one_that_can_be_opened(served):
    assert call("serve", "--host", "::1").endswith("\nhttp://[::1]:8080\n")


def test_json_for_scripts(served):
    assert json.loads(call("serve", "--json")) == {"host": "127.0.0.1", "port": 8080, "models": 1}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--bundle", "m"], "--bundle m: give NAME=FOLDER"),
        (["--host", "0.0.0.0"], "make a token first"),
        (["--tokens", "nowhere"], "nowhere: not found"),
        (["--device", "gpu"], "--device gpu: no such device. Did you mean 'cpu'?"),
    ],
)
def test_mistakes(served, arguments, told):
    with pytest.raises(UserError) as error:
        call("serve", *arguments)
    assert told in str(error.value) and not served


def test_a_bound_that_is_not_possible_names_file_and_key(served, tmp_path):
    (tmp_path / "params.yaml").write_text("serve: {slow: {max_row: 4}}\n")
    with pytest.raises(
        UserError, match=r"params\.yaml: serve\.slow\.max_row: unknown key\. Did you mean 'max_rows'"
    ):
        call("serve")


def test_a_token_is_printed_once_and_taken(served, tmp_path):
    token = call("serve-token", "shop").strip()
    assert (
        token.startswith("shop.")
        and token.partition(".")[2] not in (tmp_path / ".darkroom/tokens.json").read_text()
    )
    (tmp_path / "below").mkdir()
    call("serve", "--host", "0.0.0.0", "--tokens", str(tmp_path / ".darkroom/tokens.json"))
    assert served[0].host == "0.0.0.0"
