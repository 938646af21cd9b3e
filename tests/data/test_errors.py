"""What is told of errors."""

from __future__ import annotations

import pytest

from data.errors import first_line


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError("no such host\nmore of it"), "no such host"),
        (ValueError("\n  late\n"), "late"),
        (TimeoutError(), "TimeoutError"),
        (ValueError(" \n"), "ValueError"),
    ],
)
def test_the_first_line_of_a_message_or_the_kind(error, told):
    assert first_line(error) == told
