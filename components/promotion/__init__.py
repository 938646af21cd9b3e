"""How a version becomes champion: its checks, the comparison, the smoke test, the move."""
