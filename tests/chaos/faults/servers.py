"""What befalls the servers, and the ways to them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from tests.chaos.faults.elastic import Trouble
from tests.chaos.faults.registry import fault


if TYPE_CHECKING:
    from tests.chaos.servers import ServersWorld

#: Of the requests to an index in trouble, at least so many have it.
TROUBLED_MIN = 0.5
OWN_INDEX = ("own index",)


@fault("kill -9 a broker, restart", target="broker", held_s=(0.0, 3.0), weight=2)
def kill_broker(world: ServersWorld, rng: Random) -> Iterator[None]:
    broker = rng.choice(world.brokers)
    broker.kill()
    yield
    broker.start()


@fault("SIGSTOP a broker", target="broker", held_s=(7.0, 9.0))
def pause_broker(world: ServersWorld, rng: Random) -> Iterator[None]:
    broker = rng.choice(world.brokers)
    broker.pause()
    yield
    broker.resume()


@fault(
    "one of three brokers is lost",
    target="broker",
    held_s=(15.0, 20.0),
    needs=("three brokers",),
)
def lose_broker(world: ServersWorld, rng: Random) -> Iterator[None]:
    broker = rng.choice(world.brokers)
    broker.kill()
    yield
    broker.start()


@fault("kill -9 the index, restart", target="index", held_s=(0.0, 3.0), needs=OWN_INDEX)
def kill_index(world: ServersWorld, _rng: Random) -> Iterator[None]:
    world.index.kill()
    yield
    world.index.start()


@fault("SIGSTOP the index", target="index", held_s=(7.0, 9.0), needs=OWN_INDEX)
def pause_index(world: ServersWorld, _rng: Random) -> Iterator[None]:
    world.index.pause()
    yield
    world.index.resume()


@fault(
    "index down for a minute",
    target="index",
    held_s=(60.0, 60.0),
    weight=0.1,
    needs=OWN_INDEX,
)
def index_down(world: ServersWorld, _rng: Random) -> Iterator[None]:
    world.index.kill()
    yield
    world.index.start()


def trouble_index(world: ServersWorld, rng: Random, *, kind: Trouble) -> Iterator[None]:
    world.index_door.trouble(kind, share=rng.uniform(TROUBLED_MIN, 1.0))
    yield
    world.index_door.heal()


for each in Trouble:
    fault(f"index: {each}", target="index door", held_s=(2.0, 6.0), weight=0.7)(
        partial(trouble_index, kind=each)
    )


@fault("way to the index: slow", target="index link", held_s=(3.0, 6.0))
def slow_index(world: ServersWorld, rng: Random) -> Iterator[None]:
    world.index_link.slow(latency_s=rng.uniform(0.1, 1.0), bytes_per_s=200_000)
    yield
    world.index_link.heal()


@fault("way to the index: stalled", target="index link", held_s=(3.0, 9.0))
def stall_index(world: ServersWorld, _rng: Random) -> Iterator[None]:
    world.index_link.stall()
    yield
    world.index_link.heal()


@fault("way to the index: cut", target="index link", held_s=(0.0, 3.0))
def cut_index(world: ServersWorld, rng: Random) -> Iterator[None]:
    rng.choice((world.index_link.cut, world.index_link.refuse))()
    yield
    world.index_link.heal()


@fault("way to a broker: slow", target="kafka link", held_s=(3.0, 6.0))
def slow_broker(world: ServersWorld, rng: Random) -> Iterator[None]:
    link = rng.choice(world.kafka_links)
    link.slow(latency_s=rng.uniform(0.05, 0.5), bytes_per_s=500_000)
    yield
    link.heal()


@fault("way to a broker: stalled", target="kafka link", held_s=(5.0, 9.0))
def stall_broker(world: ServersWorld, rng: Random) -> Iterator[None]:
    link = rng.choice(world.kafka_links)
    link.stall()
    yield
    link.heal()


@fault("way to a broker: cut", target="kafka link", held_s=(0.0, 3.0), weight=2)
def cut_broker(world: ServersWorld, rng: Random) -> Iterator[None]:
    link = rng.choice(world.kafka_links)
    rng.choice((link.cut, link.refuse))()
    yield
    link.heal()


@fault("ways to all brokers: cut", target="kafka link", held_s=(0.0, 8.0))
def cut_all_brokers(world: ServersWorld, _rng: Random) -> Iterator[None]:
    for link in world.kafka_links:
        link.refuse()
    yield
    for link in world.kafka_links:
        link.heal()
