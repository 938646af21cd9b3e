"""Images a second of sampling from a diffusion model: our ONNX graph against diffusers' pipeline.

``python -m benchmarks.diffusion_sample [--dataset digits] [--patch P] [--count N] [--rounds N] [--json FILE]``, after
the data set was prepared. Both networks have about as many parameters, and random weights, which take as long as
trained ones. Both take the quick preset's number of steps, one question to the network each, on one thread, in turns
in one process, after a warm-up; the seconds are the processor's. Ours is told classes; diffusers' ``DDIMPipeline``
knows none.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from diffusers import DDIMPipeline, DDIMScheduler

from benchmarks.command import described, keep
from benchmarks.diffusers_unet import nearest_unet, parameters
from components.bundles import onnx_export
from components.project import layout
from components.tasks import conditional_generation
from data.prepared import PreparedData
from models import ddpm
from models.settings import configure


def main() -> None:
    """Measure, print, and write as JSON where asked."""
    parser = described(__doc__)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--patch", type=int, default=ddpm.Config.quick().patch)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = PreparedData(layout.prepared(options.dataset))
    config = configure(ddpm.Config, "quick", {"patch": options.patch}, "benchmark")
    model = ddpm.build(config, data.spec)
    theirs = nearest_unet(data.spec, len(config.widths), parameters(model))
    sides = {
        "ours, ONNX Runtime": _onnx(model, data, options.count),
        "ours, PyTorch": _pytorch(model, options.count),
        "diffusers": _pipeline(theirs, config, options.count),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(options.rounds + 1):  # the first is the warm-up
        for name, draw in sides.items():
            started = time.process_time()
            draw()
            if number:
                seconds[name].append(time.process_time() - started)
    middle = {name: statistics.median(times) for name, times in seconds.items()}
    print(f"{options.dataset}, {options.count} images in {config.steps} steps; ", end="")
    print(f"{parameters(model)} parameters, diffusers' {parameters(theirs)}")
    for name, value in middle.items():
        ratio = middle["diffusers"] / value
        print(f"{name:20} {value:7.3f} s, {options.count / value:8.0f} images/s, {ratio:.2f} times as many")
    keep(seconds, options.json)


def _onnx(model: ddpm.Denoiser, data: PreparedData, count: int) -> Callable[[], object]:
    inputs, outputs = conditional_generation.signature(data.spec)
    example = conditional_generation.inputs(data, "validation", 0, 2)
    content = onnx_export.convert(ddpm.graph(model), inputs, outputs, example)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    request = {"seed": np.array([0]), "count": np.array([count]), "label": np.array([-1])}
    return lambda: session.run(None, request)


def _pytorch(model: ddpm.Denoiser, count: int) -> Callable[[], object]:
    graph = ddpm.graph(model)
    request = [torch.tensor([value]) for value in (0, count, -1)]

    def draw() -> object:
        with torch.inference_mode():
            return graph(*request)

    return draw


def _pipeline(network: torch.nn.Module, config: ddpm.Config, count: int) -> Callable[[], object]:
    scheduler = DDIMScheduler(
        config.times,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
    )
    pipeline = DDIMPipeline(network.eval(), scheduler)
    pipeline.set_progress_bar_config(disable=True)
    return lambda: pipeline(count, num_inference_steps=config.steps, output_type="np")


if __name__ == "__main__":
    main()
