"""What befalls our own processes."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING

from tests.chaos.faults.registry import BOTH, fault


if TYPE_CHECKING:
    from tests.chaos.world import World


@fault("kill -9 a worker", target="worker", modes=BOTH, held_s=(0.0, 3.0), weight=3)
def kill_worker(world: World, rng: Random) -> Iterator[None]:
    worker = rng.choice(world.workers)
    worker.kill()
    yield
    worker.start()


@fault("SIGTERM a worker", target="worker", modes=BOTH, held_s=(0.0, 3.0))
def stop_worker(world: World, rng: Random) -> Iterator[None]:
    worker = rng.choice(world.workers)
    worker.stop()
    yield
    worker.start()


@fault("SIGSTOP a worker beyond its session", target="worker", held_s=(8.0, 10.0))
def pause_worker(world: World, rng: Random) -> Iterator[None]:
    worker = rng.choice(world.workers)
    worker.pause()
    yield
    worker.resume()


@fault("kill -9 a connector", target="connector", held_s=(0.0, 3.0), weight=2)
def kill_connector(world: World, rng: Random) -> Iterator[None]:
    connector = rng.choice(world.connectors)
    connector.kill()
    yield
    connector.start()


@fault("SIGTERM a connector", target="connector", held_s=(0.0, 3.0))
def stop_connector(world: World, rng: Random) -> Iterator[None]:
    connector = rng.choice(world.connectors)
    connector.stop()
    yield
    connector.start()


@fault("SIGSTOP a connector", target="connector", held_s=(4.0, 8.0))
def pause_connector(world: World, rng: Random) -> Iterator[None]:
    connector = rng.choice(world.connectors)
    connector.pause()
    yield
    connector.resume()


@fault("kill -9 all workers at once", target="worker", held_s=(0.0, 2.0))
def kill_all_workers(world: World, _rng: Random) -> Iterator[None]:
    for worker in world.workers:
        worker.kill()
    yield
    for worker in world.workers:
        worker.start()
