"""Search against trying every text, and what a wider beam is for."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from data.text import END
from models.blocks.search import search

VOCABULARY, LONGEST = 3, 4  # two symbols and the end
END_SYMBOL = VOCABULARY - 1


def table(num: int, seed: int) -> Tensor:
    """Return log-probabilities [num, LONGEST, V, V] of a symbol, given the image, the place and the symbol before."""
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(num, LONGEST, VOCABULARY, VOCABULARY, generator=generator)).log_softmax(dim=-1)


def find(known: Tensor, beams: int) -> tuple[Tensor, Tensor]:
    """Search with rows of ``known`` as the state, so that it goes wrong when beams are mixed up."""
    start = torch.full((len(known) * beams,), END_SYMBOL)

    def step(number: Tensor, last: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        (rows,) = state
        return rows[torch.arange(len(rows)), number, last], state

    return search(step, (known.repeat_interleave(beams, dim=0),), start, longest=LONGEST, beams=beams)


def probability(known: Tensor, text: tuple[int, ...]) -> float:
    last, total = END_SYMBOL, 0.0
    for number, symbol in enumerate((*text, END_SYMBOL)[:LONGEST]):
        total += float(known[number, last, symbol])
        last = symbol
    return float(torch.tensor(total).exp())


def every_text() -> list[tuple[int, ...]]:
    lengths = range(LONGEST + 1)
    return [text for length in lengths for text in itertools.product(range(END_SYMBOL), repeat=length)]


def bare(row: Tensor) -> tuple[int, ...]:
    symbols = row.tolist()
    end = symbols.index(END) if END in symbols else LONGEST
    assert symbols[end:] == [END] * (LONGEST - end)
    return tuple(symbols[:end])


@pytest.mark.parametrize("seed", range(5))
def test_a_beam_as_wide_as_all_texts_finds_the_likeliest_one(seed):
    known = table(6, seed)
    written, confidence = find(known, beams=len(every_text()))
    for row, sure, of_image in zip(written, confidence, known, strict=True):
        best = max(every_text(), key=lambda text, of=of_image: probability(of, text))
        assert bare(row) == best
        assert float(sure) == pytest.approx(probability(of_image, best), rel=1e-5)


@pytest.mark.parametrize("beams", [1, 2, 3])
def test_confidence_is_the_probability_of_what_was_written(beams):
    known = table(8, 7)
    written, confidence = find(known, beams)
    expected = [probability(of_image, bare(row)) for of_image, row in zip(known, written, strict=True)]
    torch.testing.assert_close(confidence, torch.tensor(expected))


def test_one_beam_is_greedy():
    known = table(8, 3)
    for row, of_image in zip(find(known, 1)[0], known, strict=True):
        last, text = END_SYMBOL, []
        for number in range(LONGEST):
            last = int(of_image[number, last].argmax())
            if last == END_SYMBOL:
                break
            text.append(last)
        assert bare(row) == tuple(text)


def test_a_second_best_symbol_can_begin_the_best_text():
    """Greedy takes the first symbol that is likelier alone; a beam of two keeps the other one."""
    likely = torch.full((1, LONGEST, VOCABULARY, VOCABULARY), 1 / 3)
    likely[0, 0, END_SYMBOL] = torch.tensor([0.6, 0.4, 0.0])
    likely[0, 1:, 0] = torch.tensor([0.35, 0.33, 0.32])
    likely[0, 1:, 1] = torch.tensor([0.0, 0.02, 0.98])
    known = likely.log()
    assert bare(find(known, 1)[0][0])[0] == 0
    written, confidence = find(known, 2)
    assert bare(written[0]) == (1,) and float(confidence) == pytest.approx(0.4 * 0.98)


def test_images_do_not_depend_on_each_other():
    known = table(5, 11)
    for beams in (1, 3):
        together = find(known, beams)[0]
        alone = torch.cat([find(known[i : i + 1], beams)[0] for i in range(5)])
        assert torch.equal(together, alone)
