"""What a robots.txt says to us."""

from hypothesis import given
from hypothesis import strategies as st

from connectors.rss.robots import judge, product_token


def test_our_own_group_of_a_robots_txt_is_the_one_that_counts() -> None:
    robots = b"User-agent: *\nDisallow: /\n\nUser-Agent: WireWatch\nDisallow: /no\nCrawl-delay: 3\n"
    token = product_token("wirewatch/0.3 (news monitoring)")
    assert judge(robots, token, "https://paper.example/a") == (True, 3.0)
    assert judge(robots, token, "https://paper.example/no/a") == (False, 3.0)
    assert judge(robots, "other", "https://paper.example/a") == (False, 0.0)


def test_half_a_megabyte_of_robots_txt_is_read() -> None:
    filler = b"# nothing\n" * 50_000
    robots = filler + b"User-agent: *\nDisallow: /no\n"
    assert len(robots) > 500_000
    assert not judge(robots, "wirewatch", "https://paper.example/no").given


@given(st.binary(max_size=300), st.text(max_size=30))
def test_any_bytes_are_a_robots_txt(robots: bytes, path: str) -> None:
    leave = judge(b"User-agent: *\n" + robots, "wirewatch", f"https://x.example/{path}")
    assert leave.delay_s >= 0
