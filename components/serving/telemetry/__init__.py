"""Counters and logs."""
