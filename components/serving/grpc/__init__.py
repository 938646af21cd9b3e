"""gRPC of the Open Inference Protocol: the same models by the same rules as REST, from the same workers.

Imported only where the server was told a port for it (``darkroom serve --grpc-port``); its packages are the extra
``grpc``. A call goes ``server`` -> ``endpoint`` (access, limits, status codes, log) -> ``methods`` -> the repository
and queue that REST asks, too. ``weight`` looks at a message before it is parsed; ``infer_messages`` holds tensors.

``open_inference_grpc.proto`` is the protocol's own definition, unchanged, from
https://github.com/kserve/open-inference-protocol, commit d49cc23 (Apache-2.0, its notice is in it).
``open_inference_grpc_pb2.py`` is written from it, and a test holds the two together. To write it anew::

    python -m grpc_tools.protoc -I. --python_out=. components/serving/grpc/open_inference_grpc.proto

``health.proto`` and ``health_pb2.py`` are gRPC's own health service, which Kubernetes' probes ask, in the same manner.
"""

import os

# Its core writes lines of its own to standard error, most of them about what a client did wrong.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
