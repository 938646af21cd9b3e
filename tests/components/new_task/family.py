"""A linear model of each class, whether a picture holds it: multi-label classification."""

import math

import torch
from torch import nn
from torch.nn import functional

from data.prepared import DataSpec, PreparedData
from models.run import Run
from models.settings import Settings

TASK = "multi_label"


class Config(Settings):
    """How long it learns."""

    steps: int = 60

    @classmethod
    def quick(cls) -> "Config":
        """Return the one preset."""
        return cls()

    full = quick


class Linear(nn.Module):
    """uint8 [N, H, W, C] to scores float32 [N, K]."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config = config
        self.linear = nn.Linear(math.prod(spec.shape), spec.num_classes)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the scores."""
        return self.linear(image.flatten(1).float() / 255).sigmoid()


def build(config: Config, spec: DataSpec) -> Linear:
    """Return an untrained model."""
    return Linear(config, spec)


def fit(model: Linear, data: PreparedData, run: Run) -> None:
    """Learn which classes the training pictures hold."""
    images, labels = torch.tensor(data.train.images), torch.tensor(data.train.box_labels)
    targets = (labels[:, :, None] == torch.arange(data.spec.num_classes)).any(dim=1).float()
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(model.config.steps):
        loss = functional.binary_cross_entropy(model(images), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.images += len(images)
        run.record(step=step + 1, train_loss=float(loss))
    run.finish(
        last=model.state_dict(),
        steps=model.config.steps,
        best={"metric": "loss", "value": float(loss), "step": step},
    )


def graph(model: Linear) -> nn.Module:
    """Return the module to export."""
    return model.eval()
