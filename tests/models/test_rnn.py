"""The recurrent network against the notes' formulas, step by step, and how far back its cells remember."""

from __future__ import annotations

import pytest
import torch

from models import rnn


def _build(digits, cell: str, **settings: object) -> rnn.RecurrentNetwork:
    torch.manual_seed(0)
    return rnn.build(rnn.Config(cell=cell, width=6, dropout=0, **settings), digits.spec).double().eval()


def _vanilla(x, h, c, u, w, a, b):
    return torch.tanh(x @ u.T + a + h @ w.T + b), c


def _lstm(x, h, c, u, w, a, b):
    i, f, g, o = (x @ u.T + a + h @ w.T + b).chunk(4, dim=1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _gru(x, h, c, u, w, a, b):
    (xr, xz, xn), (hr, hz, hn) = (x @ u.T + a).chunk(3, dim=1), (h @ w.T + b).chunk(3, dim=1)
    z = (xz + hz).sigmoid()
    n = (xn + (xr + hr).sigmoid() * hn).tanh()
    return (1 - z) * n + z * h, c


STEPS = {"vanilla": _vanilla, "lstm": _lstm, "gru": _gru}


@pytest.mark.parametrize("cell", STEPS)
def test_equals_its_formula_row_by_row(digits, cell):
    model = _build(digits, cell)
    x = torch.rand(4, 1, 8, 8, dtype=torch.float64)
    cells = model.cells
    u, w, a, b = cells.weight_ih_l0, cells.weight_hh_l0, cells.bias_ih_l0, cells.bias_hh_l0
    h = c = torch.zeros(4, 6, dtype=torch.float64)
    for row in range(8):
        h, c = STEPS[cell](model.standardise(x)[:, 0, row], h, c, u, w, a, b)
    v = model.output
    torch.testing.assert_close(model(x), h @ v.weight.T + v.bias, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cell", STEPS)
def test_memory_is_the_norm_of_the_gradient(digits, cell):
    """Against finite differences: a step along a row's gradient changes the answer by the norm."""
    model = _build(digits, cell, depth=2)
    images = digits.test.images[:1]
    remembered = rnn.memory(model, images)
    assert remembered.shape == (8,)
    rows = model.rows(torch.from_numpy(images).permute(0, 3, 1, 2).double() / 255)
    best = model.read(rows).argmax()
    for distance in (0, 5):
        basis = torch.eye(8, dtype=torch.float64) * 1e-6
        slopes = []
        for step in basis:
            moved = rows.clone()
            moved[0, 7 - distance] += step
            slopes.append((model.read(moved) - model.read(rows))[0, best].item() / 1e-6)
        assert remembered[distance] == pytest.approx(torch.tensor(slopes).norm().item(), rel=1e-3)


def test_gates_remember_what_the_vanilla_cell_forgets(digits):
    """The product of many Jacobians below one vanishes (Bengio et al. 1994); an open gate's is near one."""
    vanilla, lstm = _build(digits, "vanilla"), _build(digits, "lstm")
    with torch.no_grad():
        vanilla.cells.weight_hh_l0.mul_(0.5)
        lstm.cells.bias_ih_l0[6:12] = 6.0  # forget gates wide open
    forgotten, kept = (rnn.memory(model, digits.test.images[:20]) for model in (vanilla, lstm))
    assert forgotten[7] / forgotten[0] < 0.01
    assert kept[7] / kept[0] > 0.3


@pytest.mark.parametrize("cell", STEPS)
def test_the_network_still_evaluates_after_its_memory_was_measured(digits, cell):
    model = _build(digits, cell)
    with torch.no_grad():
        rnn.memory(model, digits.test.images[:2])
    assert all(parameter.grad is None for parameter in model.parameters())
