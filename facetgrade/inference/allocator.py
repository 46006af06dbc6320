"""Keep freed memory in the process, so that networks do not fault it in again."""

from __future__ import annotations

import ctypes
import platform

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
NEVER_TRIM = -1
TOP_PAD_BYTES = 256 * 2**20


def keep_freed_memory() -> bool:
    """Tell glibc to reuse freed blocks instead of returning them to the system.

    Large tensors otherwise get fresh pages for every layer, and on small virtual
    machines the page faults cost as much as the arithmetic. No result changes; memory
    stays at its peak until the process ends.

    Returns
    -------
    bool
        False where the C library is not glibc; nothing changes there.

    References
    ----------
    .. [1] mallopt(3), M_MMAP_MAX, M_TRIM_THRESHOLD and M_TOP_PAD.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    settings = (
        (M_MMAP_MAX, 0),
        (M_TRIM_THRESHOLD, NEVER_TRIM),
        (M_TOP_PAD, TOP_PAD_BYTES),
    )
    return all(libc.mallopt(parameter, value) == 1 for parameter, value in settings)
