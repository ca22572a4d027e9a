"""How this process uses the machine; imported for its effect, before NumPy is loaded.

One thread of BLAS and one of OpenCV: more cost a quarter more processor time, gain nothing on pictures of this size,
and change the last digits; several cores are used by several processes. Memory is kept for the next picture: glibc
would give large arrays back to the system each time, and fetching fresh pages takes 5 to 10 % of an inspection.
"""

from __future__ import annotations

import ctypes
import os
import sys

os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["OPENCV_FOR_THREADS_NUM"] = "1"

_KEEP_BYTES = 1 << 28
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's mallopt


def _keep_memory() -> None:
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    for parameter in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
        mallopt(parameter, _KEEP_BYTES)


_keep_memory()
