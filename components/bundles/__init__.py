"""The ONNX bundle: how its graph is exported, held against PyTorch, opened and run."""
