"""The servers that are compared, each as its documents have it."""

import data.telemetry  # noqa: F401 - before any tool is imported
