"""Two versions side by side, for people: what they were made with, what was measured of each, and which is better."""
