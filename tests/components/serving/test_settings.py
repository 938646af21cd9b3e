"""Settings: what is not possible is told with its name and the nearest that is."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from components.project.sections import ServePolicy
from components.serving.settings import ModelSettings, Settings
from data.errors import UserError


def test_they_survive_the_way_to_a_worker():
    settings = Settings(port=9, bundles={"m": "/x"}, models={"m": ModelSettings(max_batch=3)}, shadow=0.5)
    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    assert settings.of("m").max_batch == 3 and settings.of("n") == ModelSettings()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"prot": 1}, "unknown setting 'prot'. Did you mean 'port'"),
        ({"shadow": 1.5}, "a share of the requests"),
        ({"follow": "ledgre"}, "--follow ledgre: can be aliases or ledger. Did you mean 'ledger'"),
        ({"request_s": 0}, "--request-timeout 0: seconds, more than 0"),
        ({"workers": 0}, "workers 0: must be at least 1"),
    ],
)
def test_what_is_not_possible(values, told):
    with pytest.raises(UserError) as error:
        Settings.from_json(values)
    assert told in str(error.value)


def test_params_yaml_names_the_same_bounds():
    assert {field.name for field in fields(ModelSettings)} == set(ServePolicy.model_fields)


def test_grpc_is_an_extra(monkeypatch):
    assert Settings().grpc_port is None and Settings(grpc_port=0).grpc_port == 0
    monkeypatch.setattr("components.serving.settings.find_spec", lambda _: None)
    Settings()
    with pytest.raises(UserError, match=r"--grpc-port 9: gRPC is not installed: pip install -e '\.\[grpc\]'"):
        Settings(grpc_port=9)


def test_threads_fit_the_cores(monkeypatch):
    monkeypatch.setattr("data.cores.available", lambda: 8)
    assert Settings().at_once == 8 and Settings(threads=4).at_once == 2
    assert Settings(threads=2, workers=2).at_once == 2 and Settings(threads=16).at_once == 1
    assert Settings(computing=3).at_once == 3
