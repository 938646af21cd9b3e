"""Great Expectations' Data Docs without what they load from other hosts: style, scripts and pictures.

The index is a page of our own, since theirs is drawn by scripts from other hosts alone.
"""

from __future__ import annotations

import html
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

_STYLE = Path(__file__).with_name("data_docs.css")
_STYLE_PLACE = "static/styles/data_docs.css"
_ELSEWHERE = re.compile(r"<script\b.*?</script>|<link\b[^>]*>|<img\b[^>]*\bsrc=\"https?:[^>]*>", re.DOTALL)
_PICTURE_ELSEWHERE = re.compile(r"url\(['\"]?https?:[^)]*\)")
_INDEX = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Data Docs of {title}</title>
<link rel="stylesheet" href="{style}"></head>
<body><h1>Data Docs of {title}</h1>
<table><thead><tr><th>suite</th><th>verdict</th><th>pages</th></tr></thead>
<tbody>
{rows}
</tbody></table></body></html>
"""


def write(folder: Path, title: str, verdicts: Mapping[str, bool]) -> None:
    """Make the pages in ``folder`` whole without a network, and write their index.

    Args:
        folder: where ``build_data_docs`` wrote them.
        title: the data set.
        verdicts: by a suite's name, whether all its expectations hold.
    """
    for page in folder.rglob("*.html"):
        style = os.path.relpath(folder / _STYLE_PLACE, page.parent)
        text = _PICTURE_ELSEWHERE.sub("none", _ELSEWHERE.sub("", page.read_text()))
        page.write_text(
            text.replace("</head>", f'<link rel="stylesheet" href="{html.escape(style)}"></head>', 1)
        )
    shutil.copyfile(_STYLE, folder / _STYLE_PLACE)
    rows = "\n".join(_row(folder, suite, holds) for suite, holds in verdicts.items())
    (folder / "index.html").write_text(_INDEX.format(title=html.escape(title), style=_STYLE_PLACE, rows=rows))


def _row(folder: Path, suite: str, holds: bool) -> str:
    (results,) = (folder / "validations" / suite).rglob("*.html")
    verdict = '<td class="passed">holds</td>' if holds else '<td class="failed">does not hold</td>'
    pages = " ".join(
        f'<a href="{html.escape(page)}">{name}</a>'
        for name, page in (
            ("results", results.relative_to(folder).as_posix()),
            ("expectations", f"expectations/{suite}.html"),
        )
    )
    return f"<tr><td>{html.escape(suite)}</td>{verdict}<td>{pages}</td></tr>"
