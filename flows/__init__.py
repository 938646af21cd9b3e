"""Prefect flows and the command line. The only package that imports Prefect."""

import data.telemetry  # noqa: F401 - before any tool is imported
