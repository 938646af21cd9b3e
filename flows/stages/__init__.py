"""Stages as DVC knows them, and as processes."""
