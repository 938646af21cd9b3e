"""What people wrote stays text in Markdown."""

from __future__ import annotations

import pytest

from components.model_card import markdown


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("a | b", "a \\| b"),
        ("two\nlines", "two lines"),
        ("<script>", "\\<script\\>"),
        ("[a](b) *c* &amp;", "\\[a\\](b) \\*c\\* \\&amp;"),
    ],
)
def test_text_means_nothing_to_markdown(given, written):
    assert markdown.plain(given) == written


@pytest.mark.parametrize(
    ("given", "written"),
    [("a_b", "`a_b`"), ("a|b", "`a\\|b`"), ("a`b", "``a`b``"), ("`", "`` ` ``"), ("", "none")],
)
def test_code_holds_any_name(given, written):
    assert markdown.code(given) == written
