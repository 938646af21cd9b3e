"""Variants of a version: its graph in numbers of fewer bits, held to the answers of the FP32 graph."""
