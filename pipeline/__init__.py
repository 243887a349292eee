"""The two-stage TinyBERT pipeline.

Threads that wait for each other give their core away. OpenMP reads how they wait when torch is loaded, so it is said
here, before that. By its own choice they spin, which costs nothing while each has a core to itself; beside other work
one spins while the other, which it waits for, is not even running, and a training of small products all but stops.
"""

import os

WAIT_POLICY, SPINS = "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"

if SPINS not in os.environ:
    os.environ.setdefault(WAIT_POLICY, "PASSIVE")
