"""Reading what stages left."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from data.errors import UserError


def read_json(path: Path) -> dict[str, Any] | None:
    """Return what a JSON file holds; None when there is no such file.

    Raises:
        UserError: the file is not JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UserError(f"{path}: is damaged: {error}. Run its stage again.") from None


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file by column name; none when there is no such file."""
    if not path.exists():
        return []
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))
