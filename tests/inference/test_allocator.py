import platform
import subprocess
import sys

import pytest

PROGRAM = """
import numpy as np
from facetgrade.inference.allocator import keep_freed_memory
assert keep_freed_memory()
import resource
for _ in range(20):
    np.ones(4_000_000)
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(4_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc only")
def test_freed_memory_is_used_again_without_page_faults():
    # 20 arrays of 32 MB would otherwise cost 20 * 32e6 / 4096 = 156,250 faults.
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert int(run.stdout) < 1000
