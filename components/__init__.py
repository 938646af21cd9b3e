"""The stages of the pipeline, one module each, named as in ``dvc.yaml``."""

import data.telemetry  # noqa: F401 - before any tool is imported
