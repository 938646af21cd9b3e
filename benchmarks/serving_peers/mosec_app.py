"""mosec as its documents have it: one worker stage, dynamic batching, msgpack for binary data.

MODEL=... MAX_BATCH=... python mosec_app.py --port PORT
"""

import os

import numpy as np
import onnxruntime
from mosec import Server, Worker
from mosec.mixin import MsgpackMixin


class Classifier(MsgpackMixin, Worker):
    """Bytes of pixels in, bytes of probabilities out."""

    def __init__(self):
        """Load the graph, one thread as in all servers."""
        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = os.environ["MODEL"]
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.shape = self.session.get_inputs()[0].shape[1:]

    def forward(self, data):
        """Compute the rows of one request, or of several together."""
        if isinstance(data, dict):
            return self.forward([data])[0]
        images = [np.frombuffer(one["image"], np.uint8).reshape(-1, *self.shape) for one in data]
        output = self.session.run(["probabilities"], {"image": np.concatenate(images)})[0]
        parts = np.split(output, np.cumsum([len(image) for image in images])[:-1])
        return [{"probabilities": part.tobytes()} for part in parts]


if __name__ == "__main__":
    server = Server()
    most = int(os.environ["MAX_BATCH"])
    server.append_worker(Classifier, num=1, max_batch_size=most, max_wait_time=1 if most > 1 else 0)
    server.run()
