"""A task that the project does not have, as somebody would add it: multi-label classification, what is in a picture."""
