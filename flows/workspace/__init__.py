"""The project that a command is meant for: where it is, what is installed, its catalog."""
