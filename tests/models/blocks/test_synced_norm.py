"""A batch norm of two ranks is that of the whole batch: values, gradients and what it remembers."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from models import launch, ranks
from models.blocks import synced_norm
from tests.models import ranked  # noqa: F401 - it says what the processes have imported before they begin

KINDS = [lambda: nn.BatchNorm2d(3, momentum=0.3), lambda: nn.BatchNorm2d(3, affine=False, momentum=None)]


def whole(kind: int) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """Return a network, a batch that is far from zero, and what each answer weighs in a loss."""
    torch.manual_seed(1)
    network = nn.Sequential(nn.Conv2d(2, 3, 1), KINDS[kind](), nn.Conv2d(3, 1, 1)).double()
    return network, 1000 + torch.randn(5, 2, 4, 3, dtype=torch.float64), torch.randn(5, 1, 4, 3).double()


def steps(network: nn.Module, x: torch.Tensor, weights: torch.Tensor) -> list[torch.Tensor]:
    """Answer twice while training; return answers and the gradient of the images, and leave that of the weights."""
    x = x.clone().requires_grad_(True)
    network(x)
    answers = network(x)
    (answers * weights).sum().backward()
    return [answers.detach(), x.grad]


def part(out: Path) -> None:
    torch.set_num_threads(1)  # no threads of PyTorch's survive a fork
    own = ranks.shares(5)[ranks.number()]
    for kind in range(len(KINDS)):
        network, x, weights = whole(kind)
        rows = slice(own.first, own.first + own.rows)
        with synced_norm.across_ranks(network):
            found = steps(network, x[rows], weights[rows])
            average = copy.deepcopy(network).eval()
            same = torch.equal(average(x), network.eval()(x))
        assert type(network[1]) is nn.BatchNorm2d and same
        ranks.add_up(network.parameters())
        gradients = [parameter.grad for parameter in network.parameters()]
        torch.save((found, gradients, network.state_dict()), out / f"{kind}-{ranks.number()}.pt")


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("norms")
    launch.launch(part, (out,), gpus=(None, None), backend="gloo", method="forkserver")
    return out


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_two_ranks_normalize_as_one_process_does(found, kind):
    network, x, weights = whole(kind)
    ours = steps(network.train(), x, weights)
    theirs = [torch.load(found / f"{kind}-{number}.pt") for number in range(2)]
    for alone, parts in zip(ours, zip(*(rank[0] for rank in theirs), strict=True), strict=True):
        torch.testing.assert_close(torch.cat(parts), alone, rtol=1e-8, atol=1e-8)
    for _, gradients, state in theirs:
        for parameter, gradient in zip(network.parameters(), gradients, strict=True):
            torch.testing.assert_close(gradient, parameter.grad, rtol=1e-7, atol=1e-7)
        for key, value in network.state_dict().items():
            torch.testing.assert_close(state[key], value, rtol=1e-9, atol=1e-9)


def test_a_process_alone_keeps_its_norms():
    network = whole(0)[0]
    with synced_norm.across_ranks(network):
        assert type(network[1]) is nn.BatchNorm2d
