"""What befalls the servers: brokers and the index."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING

from tests.chaos.faults.registry import fault


if TYPE_CHECKING:
    from tests.chaos.world import ServerWorld


@fault("kill -9 a broker, restart", held_s=(0.0, 3.0), needs=("own brokers",))
def kill_broker(world: ServerWorld, rng: Random) -> Iterator[None]:
    broker = rng.choice(world.brokers)
    broker.kill()
    yield
    broker.start()


@fault("SIGSTOP a broker", held_s=(7.0, 9.0), needs=("own brokers",))
def pause_broker(world: ServerWorld, rng: Random) -> Iterator[None]:
    broker = rng.choice(world.brokers)
    broker.pause()
    yield
    broker.resume()


@fault("kill -9 the index, restart", held_s=(0.0, 3.0), needs=("own index",))
def kill_index(world: ServerWorld, _rng: Random) -> Iterator[None]:
    world.index.kill()
    yield
    world.index.start()


@fault("SIGSTOP the index", held_s=(7.0, 9.0), needs=("own index",))
def pause_index(world: ServerWorld, _rng: Random) -> Iterator[None]:
    world.index.pause()
    yield
    world.index.resume()


@fault("index down for a minute", held_s=(60.0, 60.0), weight=0.2, needs=("own index",))
def index_down(world: ServerWorld, _rng: Random) -> Iterator[None]:
    world.index.kill()
    yield
    world.index.start()
