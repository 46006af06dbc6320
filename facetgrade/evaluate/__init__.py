"""Compare grades, places and outlines with truth, and say how sure that is."""
