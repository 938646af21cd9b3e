"""How people name a version."""

from __future__ import annotations

import pytest

from components.registry.reference import Reference, parse
from data.errors import UserError


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("digits-cnn", Reference("digits-cnn")),
        ("digits-cnn@challenger", Reference("digits-cnn", alias="challenger")),
        ("digits-cnn@3", Reference("digits-cnn", number=3)),
        ("digits-cnn/3", Reference("digits-cnn", number=3)),
        ("models:/digits-cnn@champion", Reference("digits-cnn", alias="champion")),
        ("models:/digits-cnn/12", Reference("digits-cnn", number=12)),
        ("o'hara's", Reference("o'hara's")),
    ],
)
def test_what_is_meant(text, meant):
    assert parse(text) == meant


@pytest.mark.parametrize("text", ["", "@champion", "m@", "m/", "m/x", "m@a@b", "m/1@a", "runs:/m", "a/b/1"])
def test_what_means_nothing(text):
    with pytest.raises(UserError, match=r"Give NAME, NAME@champion, NAME@3 or NAME/3\."):
        parse(text)
