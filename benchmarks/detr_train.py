"""Training of a detector: ours against transformers' DetrForObjectDetection of equal size.

``python -m benchmarks.detr_train [--minutes M] [--threads N] [--peer-rate R] [--peer-queries Q] [--json FILE]``, after
``darkroom run digit-scenes-detr`` has prepared the data. Both see the same pictures in the same batches, on the same
device with as many threads, with AdamW, a linear warm-up and the same clipping; the peer has its own loss and its own
matcher, a backbone of the same widths, trained as well, and as many cells, layers, embeddings and, if not told
otherwise, queries.

Measured are images a second of the training alone, also of the processor's own seconds, for a machine that is busy; and
the seconds until AP50 on the validation split reaches .5, nothing where it does not within ``--minutes``. The peer's
rate is a choice: by default ten times its paper's 1e-4, which is for hundreds of epochs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import DetrConfig, DetrForObjectDetection, ResNetConfig

from benchmarks.command import described, keep
from components.metrics import average_precision
from components.metrics.average_precision import Boxes
from components.project import layout
from data.prepared import PreparedData, Split
from models.blocks.batches import Batches, order
from models.blocks.ema import EMA
from models.blocks.pixels import unit
from models.detr import Config, boxes, build, graph
from models.detr.fit import TENSORS, augment, train_loss
from models.run import Run, find_device

GOAL = 0.5
WARM_UP = 50
CHECK_EVERY = 50

Step = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(pictures, labels, centre boxes) -> loss."""
Answer = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""pictures uint8 [N, H, W, C] -> corner boxes in [0, 1], scores, labels."""


def main() -> None:
    """Measure, print a line each, and write it as JSON where asked."""
    parser = described(__doc__)
    parser.add_argument("--dataset", default="digit_scenes")
    parser.add_argument("--minutes", type=float, default=10.0, help="of training, each")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peer-rate", type=float, default=1e-3)
    parser.add_argument("--peer-queries", type=int, help="of the peer; as many as ours by default")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    data = PreparedData(layout.prepared(options.dataset))
    config = Config.quick()
    device = find_device(options.device)
    results = {}
    for name, rate in (("ours", config.learning_rate), ("transformers", options.peer_rate)):
        with Run(name, device=device, threads=options.threads) as run:
            side = (
                _ours(config, data, run) if name == "ours" else _peer(config, data, run, options.peer_queries)
            )
            results[name] = _train(
                side, config, data, run, rate, 60 * options.minutes, averaged=name == "ours"
            )
        print(f"{name:14}" + "  ".join(f"{key} {value}" for key, value in results[name].items()))
    keep(results, options.json)


def _train(
    side: tuple[nn.Module, Step, Answer],
    config: Config,
    data: PreparedData,
    run: Run,
    rate: float,
    limit: float,
    *,
    averaged: bool,
) -> dict[str, float | None]:
    """Train until the goal is reached or the time is over."""
    model, step, answer = side
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=config.weight_decay, fused=True)
    seconds, processor, images, precision, reached = 0.0, 0.0, 0, 0.0, None
    average = EMA(model, config.ema_decay) if averaged else None
    for number, (pictures, labels, targets) in enumerate(
        _batches(data.train, config.batch_size, run), start=1
    ):
        started, busy = time.perf_counter(), time.process_time()
        model.train()
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, number / WARM_UP)
        loss = step(pictures, labels, targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        if average:
            average.update()
        if run.device.type == "cuda":
            torch.cuda.synchronize()
        seconds, processor = seconds + time.perf_counter() - started, processor + time.process_time() - busy
        images += len(pictures)
        if number % CHECK_EVERY == 0:
            shown = average.average if average else model
            precision = _precision(shown, answer, data, run.device)
            reached = seconds if precision >= GOAL else None
        if reached or seconds > limit:
            break
    parameters = sum(p.numel() for p in model.parameters())
    return {
        "parameters": parameters,
        "images_per_second": round(images / seconds, 1),
        "images_per_processor_second": round(images / processor, 1),
        "seconds_to_goal": round(reached, 1) if reached else None,
        "seconds": round(seconds, 1),
        "ap50": round(precision, 4),
    }


def _batches(split: Split, size: int, run: Run) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    batches, epoch = Batches(split, run.device, tensors=TENSORS), 0
    while True:
        whole = len(split) // size * size
        for images, labels, corners in batches.read(order(len(split), 0, epoch)[:whole], size):
            yield unit(images), labels, corners
        epoch += 1


def _ours(config: Config, data: PreparedData, run: Run) -> tuple[nn.Module, Step, Callable]:
    model = build(config, data.spec).to(run.device, memory_format=torch.channels_last)

    def step(pictures: Tensor, labels: Tensor, corners: Tensor) -> Tensor:
        pictures, labels, corners = augment(config, pictures, labels, corners, run.generator)
        return train_loss(model, pictures, labels, boxes.to_centre(corners), run.generator)

    def answer(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return graph(model)(images, torch.ones(len(images), 2, dtype=torch.int64, device=images.device))

    return model, step, answer


def _peer(
    config: Config, data: PreparedData, run: Run, queries: int | None
) -> tuple[nn.Module, Step, Callable]:
    """Return DETR as transformers has it, with a ResNet of basic blocks that shrinks the picture as much as ours."""
    spec = data.spec
    queries = queries or build(config, spec).chosen
    backbone = ResNetConfig(
        num_channels=spec.channels,
        embedding_size=config.backbone[0],
        hidden_sizes=list(config.backbone[1:]),
        depths=[config.backbone_depth] * (len(config.backbone) - 1),
        layer_type="basic",
        out_features=[f"stage{len(config.backbone) - 1}"],
    )
    told = DetrConfig(
        use_timm_backbone=False,
        use_pretrained_backbone=False,
        backbone_config=backbone,
        backbone=None,
        num_channels=spec.channels,
        num_queries=queries,
        num_labels=spec.num_classes,
        d_model=config.width,
        encoder_layers=config.encoder_depth,
        decoder_layers=config.decoder_depth,
        encoder_attention_heads=config.heads,
        decoder_attention_heads=config.heads,
        encoder_ffn_dim=config.hidden,
        decoder_ffn_dim=config.hidden,
        dropout=config.dropout,
        auxiliary_loss=True,
    )
    model = DetrForObjectDetection(told).to(run.device)
    # It freezes the first layers of a backbone, which it takes for trained already; of a ResNet of transformers' own,
    # whose stages have other names than it looks for, every layer. This one starts from random weights.
    model.model.unfreeze_backbone()
    mean, std = torch.tensor(spec.mean), torch.tensor(spec.std)
    mean, std = (values.reshape(1, -1, 1, 1).to(run.device) for values in (mean, std))

    def step(pictures: Tensor, labels: Tensor, corners: Tensor) -> Tensor:
        objects = [
            {"class_labels": kinds[kinds >= 0], "boxes": boxes.to_centre(where[kinds >= 0])}
            for kinds, where in zip(labels, corners, strict=True)
        ]
        return model(pixel_values=(pictures - mean) / std, labels=objects).loss

    def answer(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        answers = model(pixel_values=(unit(images) - mean) / std)
        scores, labels = answers.logits.softmax(dim=-1)[..., :-1].max(dim=-1)
        return boxes.to_corners(answers.pred_boxes), scores, labels

    return model, step, answer


@torch.no_grad()
def _precision(model: nn.Module, answer: Callable, data: PreparedData, device: torch.device) -> float:
    """Return AP50 on the validation split."""
    model.eval()
    split = data.validation
    parts = [
        answer(model, torch.as_tensor(split.images[i : i + 100]).to(device))
        for i in range(0, len(split), 100)
    ]
    corners, scores, labels = (torch.cat(column).float().cpu().numpy() for column in zip(*parts, strict=True))
    matches = average_precision.match(
        Boxes(corners, labels.astype(int), scores),
        Boxes(split.boxes, split.box_labels),
        data.spec.num_classes,
    )
    once = np.ones((1, len(split)), np.int64)
    return float(
        np.nanmean([average_precision.precision_and_recall(every, once)[0][0, 0] for (every,) in matches])
    )


if __name__ == "__main__":
    main()
