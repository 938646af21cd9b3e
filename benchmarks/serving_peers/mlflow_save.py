"""Save a graph as MLflow does, for ``mlflow models serve``.

python mlflow_save.py MODEL FOLDER
"""

import sys

import mlflow.onnx
import numpy as np
import onnx
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

graph = onnx.load(sys.argv[1])
shape = [dim.dim_value or -1 for dim in graph.graph.input[0].type.tensor_type.shape.dim]
signature = ModelSignature(
    inputs=Schema([TensorSpec(np.dtype(np.uint8), shape, "image")]),
    outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, -1), "probabilities")]),
)
options = {"intra_op_num_threads": 1}
mlflow.onnx.save_model(
    graph,
    sys.argv[2],
    signature=signature,
    onnx_session_options=options,
    onnx_execution_providers=["CPUExecutionProvider"],
    pip_requirements=[],
)
