"""What benchmarks share: options that the module's docstring describes, and figures as a table and as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping


def described(by: str | None) -> argparse.ArgumentParser:
    """Return a parser without options whose help is ``by``, line by line."""
    return argparse.ArgumentParser(description=by, formatter_class=argparse.RawDescriptionHelpFormatter)


def show(figures: Mapping[str, float]) -> None:
    """Print figures by name, and in the last line as JSON."""
    for name, value in figures.items():
        print(f"{name:45} {value:10.3f}")
    print(json.dumps(figures))
