"""LitServe as its documents have it: a LitAPI, with its batching where MAX_BATCH is more than 1.

python litserve_app.py MODEL PORT MAX_BATCH
"""

import sys

import litserve
import numpy as np
import onnxruntime


class Classifier(litserve.LitAPI):
    """Lists of pixels in, lists of probabilities out."""

    def setup(self, device):
        """Load the graph, one thread as in all servers."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])

    def decode_request(self, request):
        """Return uint8 [N, H, W, C]."""
        return np.asarray(request["image"], np.uint8)

    def batch(self, inputs):
        """Put the rows of several requests together."""
        self.ends = np.cumsum([len(image) for image in inputs])[:-1]
        return np.concatenate(inputs)

    def predict(self, image):
        """Compute."""
        return self.session.run(["probabilities"], {"image": image})[0]

    def unbatch(self, output):
        """Give each request its rows."""
        return np.split(output, self.ends)

    def encode_response(self, output):
        """Return JSON."""
        return {"probabilities": output.tolist()}


if __name__ == "__main__":
    port, most = int(sys.argv[2]), int(sys.argv[3])
    api = Classifier(max_batch_size=most, batch_timeout=0.001 if most > 1 else 0.0)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=30)
    server.run(
        host="127.0.0.1", port=port, num_api_servers=1, generate_client_file=False, log_level="warning"
    )
