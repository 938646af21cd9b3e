"""``config.pbtxt``: its bytes, which are part of a bundle's identity."""

from __future__ import annotations

from components.bundles import triton_config
from components.bundles.signature import Tensor

IMAGE = Tensor("image", "uint8", (-1, 8, 8, 1))
LIKELIHOOD = Tensor("log_likelihood", "float32", (-1,))
PROBABILITIES = Tensor("probabilities", "float32", (-1, 10))
SEED = Tensor("seed", "int64", (1,))


def test_a_bundles_batch_is_a_dimension_like_any_other():
    assert triton_config.of_bundle("digits-gmm", [IMAGE], [LIKELIHOOD, PROBABILITIES]) == (
        'name: "digits-gmm"\nbackend: "onnxruntime"\nmax_batch_size: 0\n'
        'input [\n  { name: "image" data_type: TYPE_UINT8 dims: [ -1, 8, 8, 1 ] }\n]\n'
        'output [\n  { name: "log_likelihood" data_type: TYPE_FP32 dims: [ -1 ] }\n]\n'
        'output [\n  { name: "probabilities" data_type: TYPE_FP32 dims: [ -1, 10 ] }\n]\n'
    )


def test_a_repositorys_version_is_named_and_batched():
    assert triton_config.of_version("digits-gmm", [IMAGE], [LIKELIHOOD, PROBABILITIES], 3, "ab") == (
        'name: "digits-gmm"\nbackend: "onnxruntime"\nmax_batch_size: 64\n'
        "version_policy { specific { versions: [ 3 ] } }\n"
        'input [ { name: "image" data_type: TYPE_UINT8 dims: [ 8, 8, 1 ] } ]\n'
        'output [ { name: "log_likelihood" data_type: TYPE_FP32 dims: [ 1 ] reshape { shape: [ ] } } ]\n'
        'output [ { name: "probabilities" data_type: TYPE_FP32 dims: [ 10 ] label_filename: "labels.txt" } ]\n'
        "dynamic_batching { }\n"
        'parameters { key: "bundle_sha256" value { string_value: "ab" } }\n'
    )


def test_batches_are_as_large_as_the_servers():
    text = triton_config.of_version("m", [IMAGE], [LIKELIHOOD], 1, "ab", max_batch=8, batching=False)
    assert "max_batch_size: 8\n" in text and "dynamic_batching" not in text
    made = triton_config.of_version("m", [SEED], [IMAGE], 1, "ab", max_batch=8)
    assert "max_batch_size: 0\n" in made and "dynamic_batching" not in made
