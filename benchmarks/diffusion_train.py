"""Images a second of training a diffusion model: ours against diffusers' UNet2DModel in its own training loop.

``python -m benchmarks.diffusion_train [--dataset digits] [--patch P] [--steps N] [--rounds N] [--json FILE]``, after
the data set was prepared. Both sides have about as many parameters, are told the class, take the same batch size,
and run on one thread in turns in one process, after a warm-up; the seconds are the processor's, so that other work on
the machine counts little. Theirs is the loop of diffusers' tutorial: a data set of PIL images through transforms, a
DataLoader, ``DDPMScheduler.add_noise``, AdamW with a warmed-up cosine, clipped gradients. Ours also averages its
weights.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import torch
from diffusers import DDPMScheduler
from diffusers.optimization import get_cosine_schedule_with_warmup
from PIL import Image
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.command import described, keep
from benchmarks.diffusers_unet import nearest_unet, parameters
from components.project import layout
from data.prepared import PreparedData, Split
from models import ddpm
from models.run import Run
from models.settings import configure

WARM_UP = 3


def main() -> None:
    """Measure, print, and write as JSON where asked."""
    parser = described(__doc__)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--patch", type=int, default=ddpm.Config.quick().patch)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = PreparedData(layout.prepared(options.dataset))
    config = configure(
        ddpm.Config, "quick", {"patch": options.patch, "epochs": 1, "least_steps": 1}, "benchmark"
    )
    wanted = parameters(ddpm.build(config, data.spec))
    theirs = nearest_unet(data.spec, len(config.widths), wanted, data.spec.num_classes)
    speeds: dict[str, list[float]] = {"ours": [], "diffusers": []}
    for number in range(options.rounds + 1):  # the first is the warm-up
        steps = options.steps if number else WARM_UP
        rates = {"ours": _ours(config, data, steps), "diffusers": _diffusers(theirs, config, data, steps)}
        for name, rate in rates.items() if number else ():
            speeds[name].append(rate)
    middle = {name: statistics.median(rates) for name, rates in speeds.items()}
    ratio = middle["ours"] / middle["diffusers"]
    print(f"{options.dataset}: ours {middle['ours']:.0f} images/s ({wanted} parameters), ", end="")
    print(f"diffusers {middle['diffusers']:.0f} ({parameters(theirs)}), {ratio:.2f} times as many")
    keep({"speeds": speeds, "ratio": ratio}, options.json)


class _Part:
    """The first examples of a data set, and one to validate on."""

    def __init__(self, data: PreparedData, images: int) -> None:
        self.spec, self.train, self.validation = data.spec, _head(data.train, images), _head(data.train, 1)


def _head(split: Split, count: int) -> Split:
    """Return ``count`` examples, from the first on again where there are fewer."""
    chosen = torch.arange(count).numpy() % len(split)
    return Split(split.images[chosen], split.labels[chosen], [split.ids[i] for i in chosen])


def _ours(config: ddpm.Config, data: PreparedData, steps: int) -> float:
    part = _Part(data, steps * config.batch_size)
    with Run("benchmark") as run:
        model = ddpm.build(config, data.spec)
        started = time.process_time()
        ddpm.fit(model, part, run)
        return len(part.train) / (time.process_time() - started)


class _Images(Dataset):
    """As Hugging Face's and torchvision's data sets: an image of PIL's through a transform, one at a time."""

    def __init__(self, split: Split) -> None:
        self.images, self.labels = split.images[:, :, :, 0], split.labels
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize([0.5], [0.5])])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def _diffusers(network: torch.nn.Module, config: ddpm.Config, data: PreparedData, steps: int) -> float:
    images = _Images(_head(data.train, steps * config.batch_size))
    loader = DataLoader(images, config.batch_size, shuffle=True)
    scheduler = DDPMScheduler(config.times, beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction")
    optimizer = torch.optim.AdamW(network.parameters(), config.learning_rate)
    rates = get_cosine_schedule_with_warmup(optimizer, int(config.warmup * steps), steps)
    network.train()
    started = time.process_time()
    for clean, labels in loader:
        noise = torch.randn(clean.shape)
        times = torch.randint(config.times, (len(clean),))
        answer = network(scheduler.add_noise(clean, noise, times), times, class_labels=labels).sample
        loss = functional.mse_loss(answer, scheduler.get_velocity(clean, noise, times))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip)
        optimizer.step()
        rates.step()
        optimizer.zero_grad()
        loss.item()
    return len(images) / (time.process_time() - started)


if __name__ == "__main__":
    main()
