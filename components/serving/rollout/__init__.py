"""Which version is served, and how a worker comes to serve it."""
