"""Metrics as functions of arrays, and their intervals."""
