"""The command line, thin over the library.

What is set here has to be there before NumPy and torch load, which read it once; what the user
has set stays.
"""

import os

# Frames are rendered on all cores, one thread each: a second thread inside every small product of
# matrices only waits for the first. And a thread that waits sleeps: one that spins takes the core
# from whatever runs beside (a second `memegen`, `make -j`, a server).
_THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

for _name, _value in _THREADS.items():
    os.environ.setdefault(_name, _value)
