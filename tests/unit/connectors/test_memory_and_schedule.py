import random

from hypothesis import given
from hypothesis import strategies as st

from connectors.rss.schedule import BACKOFF_MAX_S, JITTER, delay_s


@given(
    st.floats(60, 86_400),
    st.integers(0, 10_000),
    st.floats(0, 86_400),
    st.integers(),
)
def test_a_poll_is_never_sooner_than_asked_nor_given_up(
    interval_s: float, failures: int, retry_after_s: float, seed: int
) -> None:
    wait_s = delay_s(
        interval_s,
        failures=failures,
        retry_after_s=retry_after_s,
        rng=random.Random(seed),
    )
    assert wait_s >= retry_after_s
    assert wait_s >= interval_s * (1 - JITTER)
    assert wait_s <= max(retry_after_s, max(interval_s, BACKOFF_MAX_S) * (1 + JITTER))
