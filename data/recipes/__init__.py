"""Data sets that are drawn from another one."""
