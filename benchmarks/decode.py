"""Lines a second of transcription: our exported graph against PyTorch, and against transformers' ``generate``.

``python -m benchmarks.decode [--model digit-lines-transformer] [--batches 1 64] [--rounds N] [--json FILE]``, after
``darkroom run digit-lines-transformer``. Theirs is a ``BartForConditionalGeneration`` of the same sizes (layers, width,
heads, hidden units, symbols) with random weights, which take as long as trained ones; it is fed the columns that our
convolutions make of the image, so that both compute those. All write greedily with kept keys and values, theirs exactly
as many symbols as the longest text has, ours until every line of the batch has ended: with 64 at once, nearly always as
many. One thread, in turns in one process, after a warm-up; the seconds are the processor's, the least of the rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from transformers import BartConfig, BartForConditionalGeneration
from transformers.utils import logging

from benchmarks.command import described, keep
from components.bundles.bundle import MODEL
from components.project import layout
from data.prepared import PreparedData
from models import checkpoint, transformer
from models.blocks.pixels import unit
from models.transformer import Transformer

Read = Callable[[np.ndarray], object]


def main() -> None:
    """Measure, print, and write as JSON where asked."""
    parser = described(__doc__)
    parser.add_argument("--model", default="digit-lines-transformer")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    trained = checkpoint.load(layout.trained(options.model))
    model, data = trained.model, PreparedData(layout.prepared(trained.spec.name))
    theirs = _bart(model)
    sides: dict[str, Read] = {
        "ours, ONNX Runtime": _onnx(options.model),
        "ours, PyTorch": _pytorch(model),
        "transformers": _generate(theirs, model),
    }
    print(
        f"{options.model}: {_parameters(model)} parameters, transformers' {_parameters(theirs)} and columns"
    )
    results = {}
    for batch in options.batches:
        images = np.asarray(data.test.images[:batch])
        seconds = _measure(sides, images, options.rounds)
        results[batch] = {name: batch / value for name, value in seconds.items()}
        for name, value in seconds.items():
            ratio = seconds["transformers"] / value
            print(f"{batch:4} at once  {name:20} {batch / value:9.0f} lines/s, {ratio:5.2f} times as many")
    keep(results, options.json)


def _measure(sides: dict[str, Read], images: np.ndarray, rounds: int) -> dict[str, float]:
    seconds = dict.fromkeys(sides, float("inf"))
    for number in range(rounds + 1):  # the first is the warm-up
        for name, read in sides.items():
            started = time.process_time()
            read(images)
            if number:
                seconds[name] = min(seconds[name], time.process_time() - started)
    return seconds


def _onnx(name: str) -> Read:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    content = (layout.bundle(name) / MODEL).read_bytes()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"image": images})


def _pytorch(model: Transformer) -> Read:
    graph = transformer.graph(model)

    def read(images: np.ndarray) -> object:
        with torch.inference_mode():
            return graph(torch.from_numpy(images))

    return read


def _bart(model: Transformer) -> BartForConditionalGeneration:
    config, end = model.config, model.end
    sizes = {"d_model": config.width, "vocab_size": end + 1, "max_position_embeddings": 64}
    for part, layers in (("encoder", config.encoders), ("decoder", config.decoders)):
        sizes |= {
            f"{part}_layers": layers,
            f"{part}_ffn_dim": config.hidden,
            f"{part}_attention_heads": config.heads,
        }
    tokens = ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id", "forced_eos_token_id")
    return BartForConditionalGeneration(BartConfig(**sizes, **dict.fromkeys(tokens, end))).eval()


def _generate(theirs: BartForConditionalGeneration, model: Transformer) -> Read:
    length = {"min_new_tokens": model.longest, "max_new_tokens": model.longest}

    def read(images: np.ndarray) -> object:
        with torch.inference_mode():
            columns = model.columns(unit(torch.from_numpy(images)))
            seen = torch.ones(columns.shape[:2], dtype=torch.int64)
            return theirs.generate(
                inputs_embeds=columns, attention_mask=seen, do_sample=False, num_beams=1, **length
            )

    return read


def _parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


if __name__ == "__main__":
    main()
