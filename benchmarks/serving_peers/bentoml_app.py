"""BentoML as its documents have it: a service with a batchable API of NumPy arrays.

MODEL=... bentoml serve bentoml_app:Classifier --port PORT
"""

import os
from typing import Annotated

import bentoml
import numpy as np
import onnxruntime
from bentoml.validators import DType


@bentoml.service(workers=1, traffic={"timeout": 30})
class Classifier:
    """Lists of pixels in, lists of probabilities out."""

    def __init__(self):
        """Load the graph, one thread as in all servers."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = os.environ["MODEL"]
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    @bentoml.api(batchable=True, max_batch_size=256, max_latency_ms=1000)
    def predict(self, image: Annotated[np.ndarray, DType("uint8")]) -> np.ndarray:
        """Compute."""
        return self.session.run(["probabilities"], {"image": image})[0]
