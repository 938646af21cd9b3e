"""Versions of models, their decisions and their bundles, kept in MLflow."""
