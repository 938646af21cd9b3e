"""Trained models, answered by PyTorch."""
