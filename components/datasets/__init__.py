"""The manifest of a data set, its tensors, and how a folder of images is taken in."""
