"""``python -m bench``: every figure that the README quotes."""

from __future__ import annotations

import subprocess
import sys


# Each in a process of its own: what one leaves behind must not slow the next.
for name in ("hop", "path", "index", "polling"):
    subprocess.run([sys.executable, "-m", f"bench.{name}", *sys.argv[1:]], check=True)
# The feeds have options of their own: a hundred thousand of them, and a day of ten thousand.
for name in ("feeds", "day"):
    subprocess.run([sys.executable, "-m", f"bench.{name}"], check=True)
