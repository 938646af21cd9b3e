"""What is measured on a machine that does nothing else; ``docs/results/`` holds the figures."""

import data.telemetry  # noqa: F401 - before any tool is imported
