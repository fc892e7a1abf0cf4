"""Which process reads which feeds."""

from collections import Counter

import pytest

from hypothesis import given
from hypothesis import strategies as st

from connectors.rss.shard import Shard
from streams.errors import SettingsError


@given(st.text(max_size=40), st.integers(1, 40))
def test_every_host_is_read_by_exactly_one_shard(host: str, count: int) -> None:
    holding = [n for n in range(1, count + 1) if Shard(n, count).holds(host)]
    assert len(holding) == 1


def test_all_hosts_of_a_site_are_read_by_one_process() -> None:
    hosts = ("paper.co.uk", "www.paper.co.uk", "feeds.paper.co.uk")
    for count in range(1, 30):
        for number in range(1, count + 1):
            assert len({Shard(number, count).holds(host) for host in hosts}) == 1


def test_shards_are_about_equal() -> None:
    hosts = [f"paper{n}.example" for n in range(8_000)]
    shares = Counter(
        n for n in range(1, 9) for host in hosts if Shard(n, 8).holds(host)
    )
    assert all(900 < share < 1_100 for share in shares.values())


def test_a_shard_is_the_same_on_every_machine_and_in_every_version() -> None:
    assert [Shard(n, 8).holds("paper.example") for n in range(1, 9)].index(True) == 6
    assert Shard(1, 2).holds("::1") != Shard(2, 2).holds("::1")


def test_a_shard_reads_as_it_is_written() -> None:
    assert Shard.parse("") == Shard(1, 1)
    assert Shard.parse("2/8") == Shard(2, 8)
    assert Shard.parse(str(Shard(3, 5))) == Shard(3, 5)


@pytest.mark.parametrize("wrong", ["0/8", "9/8", "2", "2/0", "a/b", "-1/2", "1/8/9"])
def test_a_shard_that_is_none_says_what_it_must_be(wrong: str) -> None:
    with pytest.raises(SettingsError, match="such as 2/8"):
        Shard.parse(wrong)
