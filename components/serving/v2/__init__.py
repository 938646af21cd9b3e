"""The Open Inference Protocol's requests and tensors."""
