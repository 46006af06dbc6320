"""Compare a patient at two time points: the same joint in the same planes."""
