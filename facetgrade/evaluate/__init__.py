"""Compare grades, places and outlines with truth."""
