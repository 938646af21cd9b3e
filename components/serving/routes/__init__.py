"""What each path answers, a module per group of paths."""
