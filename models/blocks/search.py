"""Writing a text symbol by symbol: greedily, or by beam search; in an exported graph it is one loop.

A beam of one is the greedy search: at each step the most probable symbol. A wider one keeps the most probable
beginnings so far (Graves 2012, "Sequence transduction with recurrent neural networks", section 2.5, in its usual form),
so that a good text is not lost for a symbol in it that was second best.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from data.text import END

State = tuple[Tensor, ...]
Step = Callable[[Tensor, Tensor, State], tuple[Tensor, State]]
"""(number of the step, int64 []; last symbols, int64 [R]; state) -> logits float32 [R, V], new state.

R is texts times beams, the first axis of each tensor of the state. The last of the V symbols is the end, and the
beginning, too: it is the last symbol of a text of which nothing is written yet.
"""


def search(step: Step, state: State, start: Tensor, *, longest: int, beams: int) -> tuple[Tensor, Tensor]:
    """Return the most probable text that was found for each image.

    Args:
        step: how symbols follow from symbols.
        state: what ``step`` is given first; a row for each beam of each image.
        start: int64 [N * beams], filled with the end.
        longest: symbols of a text at most.
        beams: beginnings that are kept.

    Returns:
        Symbols int64 [N, longest], after the end :data:`data.text.END`, and float32 [N], the probability of the text.
    """
    places = torch.arange(longest, device=start.device)

    def write(
        number: Tensor, last: Tensor, written: Tensor, score: Tensor, *state: Tensor
    ) -> tuple[Any, ...]:
        logits, state = step(number, last, state)
        gains = _after_the_end(logits.float().log_softmax(dim=-1), (number > 0) & (last == start))
        if beams == 1:
            gain, last = gains.max(dim=-1)
            score = score + gain
        else:
            chosen, last, score = _best(score, gains, beams)
            written = written.index_select(0, chosen)
            state = tuple(part.index_select(0, chosen) for part in state)
        symbol = torch.where(last == start, END, last)
        return number + 1, last, torch.where(places == number, symbol[:, None], written), score, *state

    def goes_on(number: Tensor, last: Tensor, *_: Tensor) -> Tensor:
        return (number < longest) & ((number == 0) | (last != start).any())

    written = (start[:, None] * 0 + END).expand(-1, longest).clone()
    # All beams of an image begin alike: at first only one of them counts.
    first = torch.where(torch.arange(start.shape[0], device=start.device) % beams == 0, 0.0, -math.inf)
    carried = torch.zeros((), dtype=torch.int64, device=start.device), start.clone(), written, first, *state
    if torch.compiler.is_exporting():
        carried = torch.while_loop(goes_on, write, carried)
    else:  # outside of an export, PyTorch's own loop would be compiled first
        while goes_on(*carried):
            carried = write(*carried)
    _, _, written, score, *_ = carried
    return written.unflatten(0, (-1, beams))[:, 0], score.unflatten(0, (-1, beams))[:, 0].exp()


def _after_the_end(gains: Tensor, ended: Tensor) -> Tensor:
    """Return log-probabilities [R, V] with which nothing but the end follows where a text has ``ended`` [R]."""
    is_end = torch.arange(gains.shape[1], device=gains.device) == gains.shape[1] - 1
    return torch.where(ended[:, None], torch.where(is_end, 0.0, -math.inf), gains)


def _best(score: Tensor, gains: Tensor, beams: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return of each image's best continuations the row that it continues, its symbol and its score, each [R]."""
    num_symbols = gains.shape[1]
    of_image = (score[:, None] + gains).reshape(-1, beams * num_symbols)
    best, place = of_image.topk(beams, dim=1)
    image = torch.arange(of_image.shape[0], device=score.device)[:, None]
    # A comparison in place of a division: an exported integer division goes through float32.
    beam = (place[..., None] >= num_symbols * torch.arange(1, beams, device=score.device)).sum(dim=-1)
    return (image * beams + beam).flatten(), (place - beam * num_symbols).flatten(), best.flatten()
