"""Tables on standard output: as wide as the terminal, and whole lines where a program or a file reads them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDE = 10_000
"""Characters: a line that is piped is never broken."""


def make(*columns: str, folded: Sequence[str] = ()) -> Table:
    """Return an empty table.

    Args:
        columns: their titles; what stands in them is never cut.
        folded: of these, the ones that give way where the terminal is narrow: they go on in the next line.
    """
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column not in folded, vertical="top")
    return table


def add(table: Table, *cells: str, styles: Sequence[str] = ()) -> None:
    """Append a row; ``styles`` are of the first cells, in order."""
    texts = [Text(cell, style=style) for cell, style in zip(cells, styles, strict=False)]
    table.add_row(*texts, *(Text(cell) for cell in cells[len(texts) :]))  # Rich would read brackets as markup


def show(table: Table) -> None:
    """Print a table."""
    console().print(table)


def console() -> Console:
    """Return what prints to standard output without breaking lines where nobody looks on."""
    made = Console()
    if not made.is_terminal:
        made.width = _WIDE
    return made
