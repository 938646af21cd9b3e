"""What stages need of a cluster's nodes."""

from __future__ import annotations

import pytest

from components.project.sections import ModelParams, Params, Resources
from flows.remote_stages.demand import Demand, of_stage


def settings(device: str, **resources: dict) -> Params:
    return Params(
        datasets={"digits": "data/digits/dataset.yaml"},
        models={"one": ModelParams(family="cnn", dataset="digits", device=device)},
        resources={name: Resources(**said) for name, said in resources.items()},
    )


@pytest.mark.parametrize(
    ("device", "has_gpus", "gpus"),
    [("auto", True, 1), ("auto", False, 0), ("cpu", True, 0), ("cuda", False, 1)],
)
def test_a_model_s_device_asks_for_a_gpu_where_resources_do_not(device, has_gpus, gpus):
    asked = {"cpus": 2, "has_gpus": has_gpus}
    assert of_stage(settings(device), "train", "one", **asked) == Demand(2, gpus, 0, "")
    assert of_stage(settings(device), "export", "one", **asked).gpus == 0
    assert of_stage(settings(device, one={"gpus": 0.5}), "evaluate", "one", **asked).gpus == 0.5


def test_what_is_said_of_a_model_goes_before_what_is_said_of_a_kind_key_by_key():
    said = settings("cpu", train={"gpus": 1, "memory_gb": 16, "where": "a100"}, one={"gpus": 4})
    asked = {"cpus": 1, "has_gpus": True}
    assert of_stage(said, "train", "one", **asked) == Demand(1, 4, 16e9, "a100")
    assert of_stage(said, "evaluate", "one", **asked) == Demand(1, 4, 0, "")
    assert of_stage(said, "export", "one", **asked) == Demand(1, 0, 0, "")


def test_a_node_has_all_or_does_not_fit():
    node = {"CPU": 4.0, "GPU": 1.0, "memory": 8e9, "a100": 1.0}
    assert Demand(4, 1, 8e9, "a100").fits(node)
    assert not any(
        demand.fits(node)
        for demand in (
            Demand(5, 0, 0, ""),
            Demand(1, 2, 0, ""),
            Demand(1, 0, 9e9, ""),
            Demand(1, 0, 0, "h200"),
        )
    )
