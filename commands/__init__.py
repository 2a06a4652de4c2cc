"""The command line: one small file a command."""

import os

# OpenMP's threads otherwise spin while they wait: on a busy machine that costs several times the work itself. Not at
# all is dear, too: where waking takes long (virtual machines), a tenth of a millisecond of it halves the whole work.
# Read once, when torch loads; a user's own settings stay.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
