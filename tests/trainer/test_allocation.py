"""Memory that is freed between the steps of a training stays with the process."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import numpy as np
from sardonyx.trainer.allocation import keep_freed_memory
if {kept}:
    keep_freed_memory()
def use():
    for _ in range(3):
        arrays = [np.ones(1 << 20, np.uint8) for _ in range(8)]
        del arrays
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries do not ask for large blocks anew")
def test_no_page_is_cleared_anew():
    faults = [
        int(subprocess.run([sys.executable, "-c", PROGRAM.format(kept=kept)], capture_output=True, check=True).stdout)
        for kept in (False, True)
    ]
    assert faults[1] < 100 < faults[0]
