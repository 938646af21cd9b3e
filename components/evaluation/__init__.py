"""Parts of an evaluation that several tasks share."""
