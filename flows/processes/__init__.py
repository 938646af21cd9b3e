"""Locks, and no orphans."""
