"""Parts that families share, each written once."""
