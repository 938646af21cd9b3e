"""Versions of models, their decisions and their bundles, kept in MLflow."""

import os

# Before any module here imports MLflow, which reads some of these at that moment. Its own defaults wait minutes for a
# server that is down, and log what people need not read.
for _variable, _default in {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "PGCONNECT_TIMEOUT": "5",
}.items():
    os.environ.setdefault(_variable, _default)
