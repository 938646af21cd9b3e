"""Pictures for people: one look, made for a white page, and the same bytes from the same numbers."""
