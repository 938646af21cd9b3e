import os

import pytest

from data.sources.names import Names


def test_names_come_back_as_they_were():
    given = ["a/1.png", "", "ü/\u2028.jpg", os.fsdecode(b"\xff.png")]
    found = Names(given)
    assert list(found) == given and len(found) == 4 and not found.are_ascii
    with pytest.raises(IndexError, match="name 4 of 4"):
        found[4]


def test_names_of_ascii_letters_are_told():
    assert Names(["a", "b"]).are_ascii and Names().are_ascii
