"""What ranks do together: every number is the one that a process alone would have."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from models import launch, ranks
from models.blocks import draws
from models.run import Run
from tests.models import ranked  # noqa: F401 - it says what the processes have imported before they begin

ROWS = 5
"""Of a batch: one rank has two of them, the other three."""


def probe(out: Path) -> None:
    """Do everything once, as a rank, and write what came of it."""
    torch.set_num_threads(1)  # no threads of PyTorch's survive a fork
    number = ranks.number()
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)).to(memory_format=torch.channels_last)
    model.register_buffer(
        "flags", torch.tensor([True, False]) if number == 0 else torch.tensor([False, False])
    )
    for parameter in model.parameters():
        nn.init.constant_(parameter, number + 1)
    ranks.hand_out(model)
    weights = [nn.Parameter(torch.zeros(2)) for _ in range(3)]
    weights[0].grad = torch.full((2,), 1.0 + number)
    if number == 1:
        weights[1].grad = torch.full((2,), 5.0)
    ranks.add_up(weights)
    own = ranks.shares(ROWS)[number]
    with ranks.sharing(own):
        even = ranks.evenly(torch.tensor(3.0 - 2 * number), 1), ranks.evenly(torch.tensor(0.0), 2)
        drawn = draw(own.rows)
    torch.manual_seed(0)
    ranks.set_out(nn.Linear(1, 1))
    found = {
        "told": (number, ranks.count(), ranks.is_first()),
        "total": ranks.total(torch.tensor([number, 10])),
        "stacked": ranks.stacked(torch.tensor([1.5, number], dtype=torch.float64)),
        "agreed": (ranks.agreed(number == 0), ranks.agreed(number == 1)),
        "weights": model.state_dict(),
        "gradients": [weight.grad for weight in weights],
        "evenly": even,
        "drawn": drawn,
        "after": draw(ROWS),
        "own_stream": torch.rand(4),
    }
    torch.save(found, out / f"{number}.pt")


def draw(rows: int) -> list[torch.Tensor]:
    """Draw for some rows in all ways, by a generator that begins anew."""
    like = {"generator": torch.Generator().manual_seed(3), "device": torch.device("cpu")}
    places, total = draws.places(rows, like["device"])
    return [
        draws.rand(rows, 2, **like),
        draws.rand(4, rows, 3, **like, along=1).movedim(1, 0),
        draws.randn(rows, 3, 3, **like),
        draws.randint(9, rows, 1, **like),
        places,
        torch.full((rows,), total),
        torch.rand(1, generator=like["generator"]).expand(rows),  # all are at the same place of the stream
    ]


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> list[dict]:
    """What each of two ranks found."""
    out = tmp_path_factory.mktemp("probe")
    launch.launch(probe, (out,), gpus=(None, None), backend="gloo", method="forkserver")
    return [torch.load(out / f"{number}.pt") for number in range(2)]


def test_each_knows_its_place(found):
    assert [rank["told"] for rank in found] == [(0, 2, True), (1, 2, False)]


def test_sums_and_stacks_are_of_all(found):
    for rank in found:
        assert rank["total"].tolist() == [1, 20]
        assert rank["stacked"].tolist() == [[1.5, 0], [1.5, 1]]


def test_the_first_decides(found):
    assert [rank["agreed"] for rank in found] == [(True, False)] * 2


def test_the_first_one_s_weights_are_handed_out(found):
    weights = found[1]["weights"]
    assert (weights["0.weight"] == 1).all() and weights["flags"].tolist() == [True, False]
    assert weights["0.weight"].is_contiguous(memory_format=torch.channels_last)
    for key, value in found[0]["weights"].items():
        assert torch.equal(value, weights[key])


def test_gradients_are_added_up_and_what_has_none_gets_none(found):
    for rank in found:
        both, one, none = rank["gradients"]
        assert both.tolist() == [3, 3] and one.tolist() == [5, 5] and none is None


def test_a_mean_over_other_things_than_rows_is_that_of_the_batch(found):
    # 3 and 1 things in 2 and 3 rows: a sum over this, times the rows' weight, is the sum over all four things.
    assert [float(rank["evenly"][0]) for rank in found] == pytest.approx([4 * 2 / 5, 4 * 3 / 5])
    assert [float(rank["evenly"][1]) for rank in found] == pytest.approx([2 * 2 / 5, 2 * 3 / 5])


def test_an_example_gets_the_numbers_that_it_has_in_the_whole_batch(found):
    whole = draw(ROWS)
    for parts, numbers in zip(zip(*(rank["drawn"] for rank in found), strict=True), whole, strict=True):
        assert torch.equal(torch.cat(parts), numbers)
    for rank in found:
        assert all(map(torch.equal, rank["after"], whole))  # outside of a batch each draws for itself


def test_units_are_dropped_by_numbers_of_each_rank_s_own(found):
    assert not torch.equal(found[0]["own_stream"], found[1]["own_stream"])


@given(total=st.integers(1, 200), count=st.integers(1, 9))
def test_shares_are_neighbours_and_of_almost_equal_size(total, count):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranks, "count", lambda: count)
        shares = ranks.shares(total)
    assert [share.first for share in shares] == [sum(s.rows for s in shares[:n]) for n in range(count)]
    assert sum(share.rows for share in shares) == total
    assert max(share.rows for share in shares) - min(share.rows for share in shares) <= 1


def test_alone_nothing_is_changed_and_nothing_drawn():
    with Run("alone") as run:
        before = torch.get_rng_state()
        x, model = torch.rand(3), nn.Linear(2, 2)
        torch.set_rng_state(before)
        ranks.set_out(model)
        assert torch.equal(torch.get_rng_state(), before)
        assert ranks.total(x) is x
        assert ranks.agreed(True) and not ranks.agreed(False)
        assert ranks.evenly(torch.tensor(0), 1) == 1
        with ranks.sharing(ranks.shares(5)[0]):
            assert ranks.share() is None
        assert ranks.is_first() and run.generator is not None
