"""A graph module answered by PyTorch, numpy in and numpy out: what ONNX Runtime is held against."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from components.tasks import Arrays, Tensor


class Reference:
    """Calls ``graph`` with inputs by name and gives its outputs by name, in full float32 and always the same bits."""

    def __init__(
        self, graph: nn.Module, outputs: Sequence[Tensor], device: torch.device, threads: int
    ) -> None:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = (
            ":4096:8"  # cuBLAS is deterministic only with a fixed workspace
        )
        # The same as use_deterministic_algorithms(True), which also imports the compiler: 1.5 s that nobody needs here.
        torch.set_deterministic_debug_mode("error")
        torch.set_num_threads(threads)
        torch.backends.cudnn.allow_tf32 = False  # would round each product to 10 bits
        self._graph = graph.to(device).eval()
        self._outputs = [output.name for output in outputs]
        self._device = device

    @torch.inference_mode()
    def __call__(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Answer one request.

        Args:
            inputs: an array for each argument of the graph's ``forward``.
        """
        # Copies: prepared data is a read-only map, which PyTorch warns of.
        tensors = {
            name: torch.from_numpy(np.array(values)).to(self._device) for name, values in inputs.items()
        }
        answers = self._graph(**tensors)
        answers = (answers,) if isinstance(answers, torch.Tensor) else answers
        return {name: answer.cpu().numpy() for name, answer in zip(self._outputs, answers, strict=True)}
