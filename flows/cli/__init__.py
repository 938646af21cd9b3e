"""The ``darkroom`` command, a module per group of commands."""
