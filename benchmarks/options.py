"""The options of a benchmark, described by its module's docstring."""

from __future__ import annotations

import argparse


def described(by: str | None) -> argparse.ArgumentParser:
    """Return a parser without options whose help is ``by``, line by line."""
    return argparse.ArgumentParser(description=by, formatter_class=argparse.RawDescriptionHelpFormatter)
