"""The command line: one small file a command."""

import os

# OpenMP's threads otherwise spin while they wait: on a busy machine that costs several times the work itself.
# Read once, when torch loads; a user's own setting stays.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
