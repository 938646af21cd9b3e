"""Data sets: where each comes from, what must hold of it, and the readers every stage shares.

This is the lowest layer. It imports neither ``models`` nor ``components`` nor ``flows``.
"""
