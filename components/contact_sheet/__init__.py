"""The contact sheet's parts: what it tells of a data set and of a model, its pictures, its numbers, its page."""
