"""Prefect's API for a run, and runs that crashed."""
