"""Asks by ``tritonclient.grpc``, from an environment of its own: ``python standard_client.py PORT FOLDER``.

For each ``MODEL.npz`` of inputs in the folder it writes the outputs to ``MODEL.out.npz``; what else the client can ask
it prints as JSON.
"""

import json
import sys
from pathlib import Path

import google.protobuf
import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype


def ask(
    client: triton.InferenceServerClient, model: str, given: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    inputs = []
    for name, values in given.items():
        inputs.append(triton.InferInput(name, list(values.shape), np_to_triton_dtype(values.dtype)))
        inputs[-1].set_data_from_numpy(values)
    result = client.infer(model, inputs, request_id="r", client_timeout=120)
    assert result.get_response().id == "r"
    found = {tensor.name: result.as_numpy(tensor.name) for tensor in result.get_response().outputs}
    return {
        name: values.astype(bytes) if values.dtype == object else values for name, values in found.items()
    }


def main(port: str, folder: Path) -> None:
    client = triton.InferenceServerClient(f"127.0.0.1:{port}")
    models = {}
    for file in sorted(folder.glob("*.npz")):
        given = dict(np.load(file))
        model = file.stem
        metadata = client.get_model_metadata(model)
        assert sorted(tensor.name for tensor in metadata.inputs) == sorted(given)
        models[model] = client.is_model_ready(model)
        np.savez(folder / f"{model}.out", **ask(client, model, given))
    try:
        client.get_model_metadata("nothing")
    except InferenceServerException as error:
        refused = [error.status(), error.message()]
    told = {
        "protobuf": google.protobuf.__version__,
        "live": client.is_server_live() and client.is_server_ready(),
        "server": client.get_server_metadata(as_json=True)["name"],
        "ready": models,
        "refused": refused,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
