"""How numbers are shown: text for reading beside the exact value for machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

MINUS = "\N{MINUS SIGN}"
_PADDING = 0.08  # of the strip, left free at either end


def number(value: float | None, signed: bool = False) -> Markup:
    """Return a measured number with four decimals; whole ones from 2 on and thousands have none."""
    if value is None:
        return Markup("–")
    whole = value == int(value) and abs(value) >= 2
    plus = "+" if signed and value > 0 else ""
    return _data(value, f"{plus}{value:,.{0 if whole or abs(value) >= 1000 else 4}f}")


def small(value: float, decimals: int = 1) -> Markup:
    """Return a number that is near nothing, such as ``1.2e-07``; 0 where there is none at all."""
    return _data(value, f"{value:.{decimals}e}" if value else "0")


def milliseconds(value: float | None) -> Markup:
    """Return a time in milliseconds with its unit."""
    return Markup("–") if value is None else _data(value, f"{value:.2f}") + "\N{NO-BREAK SPACE}ms"


def _data(value: float, text: str) -> Markup:
    return Markup('<data value="{}">{}</data>').format(repr(value), text.replace("-", MINUS))


@dataclass(frozen=True)
class Strip:
    """An interval drawn on a strip: all places in per cent of its width."""

    left: float
    width: float
    value: float
    bounds: tuple[float, ...]


def strip(
    interval: Mapping[str, Any], bounds: Iterable[float] = (), others: Iterable[Mapping[str, Any]] = ()
) -> Strip:
    """Place an interval and what it is held against on a strip that just holds them all.

    Args:
        interval: ``low``, ``value`` and ``high``.
        bounds: values to mark.
        others: intervals that are drawn on the same scale, in other rows.
    """
    low, value, high = (interval[key] for key in ("low", "value", "high"))
    bounds, others = tuple(bounds), tuple(others)
    first = min(low, value, *bounds, *(other["low"] for other in others))
    last = max(high, value, *bounds, *(other["high"] for other in others))
    span = last - first

    def place(number: float) -> float:
        share = (number - first) / span if span else 0.5
        return round(100 * (_PADDING + (1 - 2 * _PADDING) * share), 2)

    return Strip(
        place(low), round(place(high) - place(low), 2), place(value), tuple(place(bound) for bound in bounds)
    )
