"""The stages of the pipeline, one module each, named as in ``dvc.yaml``."""

import os

import data.telemetry  # noqa: F401 - before any tool is imported

if "DVC_STAGE" in os.environ:  # here, as the file of a stage is read after this one
    from components.project import inputs

    inputs.note()
