"""Parts of the report: numbers, strips, colours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import components.report_page
from components.report_page import numbers

FOLDER = Path(components.report_page.__file__).parent


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), st.lists(st.floats(-1e6, 1e6), max_size=2))
def test_strip_holds_everything_in_order(values, bounds):
    low, value, high = sorted(values)
    strip = numbers.strip(
        {"low": low, "value": value, "high": high}, bounds, [{"low": low - 1, "high": high}]
    )
    places = [strip.left, strip.value, round(strip.left + strip.width, 2)]
    assert places == sorted(places)
    assert all(0 < place < 100 for place in (*places, *strip.bounds))


@pytest.mark.parametrize(
    ("value", "signed", "text"),
    [
        (0.98141, False, "0.9814"),
        (10.0, False, "10"),
        (-0.5, True, "−0.5000"),
        (0.5, True, "+0.5000"),
        (0.0, True, "0.0000"),
        (1.0, False, "1.0000"),
        (1234.5, False, "1,234"),
        (None, False, "–"),
    ],
)
def test_number_is_readable_and_exact(value, signed, text):
    shown = numbers.number(value, signed)
    assert shown == (text if value is None else f'<data value="{value!r}">{text}</data>')


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(scheme):
    style = (FOLDER / "style.css").read_text()
    block = re.findall(r":root \{(.*?)\}", style, re.S)[("light", "dark").index(scheme)]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
    pairs = [(ink, paper) for ink in ("ink", "muted", "accent", "bad") for paper in ("paper", "card")]
    pairs += [(tone, f"{tone}-paper") for tone in ("good", "bad", "open")]
    for ink, paper in pairs:
        first, second = sorted((_luminance(colours[ink]), _luminance(colours[paper])), reverse=True)
        assert (first + 0.05) / (second + 0.05) >= 4.5, f"{ink} on {paper} (WCAG 2.2, 1.4.3)"


def _luminance(colour: str) -> float:
    """Return the relative luminance of ``#rrggbb`` (WCAG 2.2, definition)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
