"""What benchmarks share: options that a module's docstring describes, figures that are shown, results in a file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path


def described(by: str | None) -> argparse.ArgumentParser:
    """Return a parser without options whose help is ``by``, line by line."""
    return argparse.ArgumentParser(description=by, formatter_class=argparse.RawDescriptionHelpFormatter)


def show(figures: Mapping[str, float]) -> None:
    """Print figures by name, and in the last line as JSON."""
    for name, value in figures.items():
        print(f"{name:45} {value:10.3f}")
    print(json.dumps(figures))


def keep(results: object, file: Path | None) -> None:
    """Write results as JSON where a file is asked for."""
    if file:
        file.write_text(json.dumps(results, default=str, indent=2, ensure_ascii=False) + "\n")
