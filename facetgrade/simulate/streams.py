"""Random streams beside that of a study, for draws that must not shift the others."""

from __future__ import annotations

import numpy as np


def side_stream(rng: np.random.Generator, *, number: int = 1) -> np.random.Generator:
    """Return a stream of its own that leaves the draws of another as they are.

    What can be switched off draws from it, so that a seed gives the same patient with
    and without. From one version of the simulator to the next patients may change.

    Parameters
    ----------
    rng : Generator
        On PCG64; its state decides the new stream.
    number : int
        Which of the streams beside. Two of one number overlap if `rng` drew little in
        between; those of different numbers never do.

    Raises
    ------
    TypeError
        If the generator is of another kind.
    """
    source = rng.bit_generator
    if not isinstance(source, np.random.PCG64):
        raise TypeError(f"rng must be on PCG64, got {type(source).__name__}")
    return np.random.Generator(source.jumped(number))
