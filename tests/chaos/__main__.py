"""``python -m tests.chaos``: inject faults from a seed, then hold all to account.

Prints what it does, what did not hold, and a table. Exit code 1 when the invariant is
broken, 2 when something that must come back did not. Then the folder with every log and
the servers' data is kept, as with ``--keep``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile

from dataclasses import asdict
from pathlib import Path

from tests.chaos import table
from tests.chaos.embedded import EmbeddedWorld
from tests.chaos.invariant import LAST, LOST, ONCE
from tests.chaos.run import BrokenError, Result, drawn, run
from tests.chaos.servers import ServersWorld
from tests.chaos.world import EndedError, World
from tests.servers.suite import maven


RATE = 30.0
VIOLATIONS_SHOWN = 50


def main() -> int:
    """Run; return the exit code."""
    options = _parser().parse_args()
    seed = random.randrange(10**6) if options.seed is None else options.seed
    folder = Path(tempfile.mkdtemp(prefix=f"wirewatch-chaos-{seed}-"))
    command = (
        f"make chaos SEED={seed} FAULTS={options.faults} MODE={options.mode}"
        f" BROKERS={options.brokers}"
    )
    print(f"{command}; logs in {folder}", file=sys.stderr)
    try:
        with _world(options, seed, folder) as world:
            chosen = drawn(seed, options.faults, options.mode, world.has)
            result = run(world, seed, chosen)
    except (BrokenError, EndedError) as error:
        print(f"BROKEN: {error}; logs in {folder}; again: {command}")
        return 2
    _report(result, command, folder, options.json)
    if result.violations or options.keep:
        return 1 if result.violations else 0
    shutil.rmtree(folder)
    return 0


def _world(options: argparse.Namespace, seed: int, folder: Path) -> World:
    if options.mode == "embedded":
        return EmbeddedWorld(seed, folder, rate=RATE)
    servers = maven(os.environ)
    return ServersWorld(seed, folder, servers, brokers=options.brokers, rate=RATE)


def _report(result: Result, command: str, folder: Path, file: Path | None) -> None:
    for violation in result.violations[:VIOLATIONS_SHOWN]:
        print(violation)
    rows = table.rows(
        result.injections,
        lost=result.blamed(LOST, LAST),
        duplicated=result.blamed(ONCE),
    )
    print(table.rendered(rows))
    held = f"{len(result.violations)} VIOLATIONS" if result.violations else "all held"
    print(f"{held}: {command}")
    if result.violations:
        print(f"logs in {folder}")
    if file is not None:
        told = {
            "command": command,
            "violations": [str(one) for one in result.violations],
            "rows": [asdict(row) for row in rows],
        }
        file.write_text(json.dumps(told, indent=2) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="by default a random one")
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument("--mode", choices=["servers", "embedded"], default="servers")
    parser.add_argument("--brokers", type=int, choices=[1, 3], default=1)
    parser.add_argument("--keep", action="store_true", help="keep the logs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
