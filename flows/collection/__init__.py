"""``darkroom gc``: what is needed of all that runs left behind, and how the rest goes."""
