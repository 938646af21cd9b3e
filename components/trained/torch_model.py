"""A trained model answered by PyTorch, numpy in and numpy out: what ONNX Runtime is held against."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from components.bundles.signature import Arrays, Tensor
from components.evaluation import prompts
from components.project import layout
from components.project.sections import ModelParams
from data.errors import UserError
from data.prepared import DataSpec, PreparedData
from models import checkpoint
from models.checkpoint import Checkpoint


def open_trained(name: str, settings: ModelParams) -> tuple[Checkpoint, PreparedData]:
    """Return the checkpoint of the model ``name`` and the data that it was trained on.

    Raises:
        UserError: one of them is missing, or the model was trained on other data or an older state of it.
    """
    trained = checkpoint.load(layout.trained(name))
    data = PreparedData(layout.prepared(settings.dataset))
    if trained.spec.sha256 != data.spec.sha256:
        then, now = (f"{spec.name} {spec.sha256[:12]}" for spec in (trained.spec, data.spec))
        raise UserError(
            f"{layout.trained(name)}: was trained on {then}, but {data.folder} holds {now}. "
            "Run the train stage again."
        )
    return trained, data


def arguments(graph: nn.Module) -> list[str]:
    """Return the names of the graph's inputs: the arguments of its ``forward``."""
    return list(inspect.signature(graph.forward).parameters)


class Reference:
    """Calls ``graph``, inputs and outputs by name, in full float32 and with the same bits every time."""

    def __init__(
        self,
        graph: nn.Module,
        spec: DataSpec,
        outputs: Sequence[Tensor],
        device: torch.device,
        threads: int,
    ) -> None:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = (
            ":4096:8"  # cuBLAS is deterministic only with a fixed workspace
        )
        # The same as use_deterministic_algorithms(True), which also imports the compiler: 1.5 s that nobody
        # needs here.
        torch.set_deterministic_debug_mode("error")
        torch.set_num_threads(threads)
        torch.backends.cudnn.allow_tf32 = False  # would round each product to 10 bits
        self._graph = graph.to(device).eval()
        # PyTorch has no strings: what is one in the exported graph is spelled from the other outputs, and texts that
        # are read come as tokens.
        self._spec = spec
        self._outputs = [output.name for output in outputs if output.dtype != "string"]
        self._device = device

    @torch.inference_mode()
    def __call__(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Answer one request.

        Args:
            inputs: an array for each argument of the graph's ``forward``, texts as the exported graph takes them.
        """
        # Copies: prepared data is a read-only map, which PyTorch warns of.
        tensors = {
            name: torch.from_numpy(np.array(values)).to(self._device)
            for name, values in prompts.tokens(inputs, self._spec).items()
        }
        answers = self._graph(**tensors)
        answers = (answers,) if isinstance(answers, torch.Tensor) else answers
        return {name: answer.cpu().numpy() for name, answer in zip(self._outputs, answers, strict=True)}
