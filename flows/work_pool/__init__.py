"""Retraining on a worker of a Prefect work pool: the same ``darkroom run``, in the project's folder there."""
