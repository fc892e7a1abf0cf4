"""Hubs that deliver feeds: a real one, over real HTTP."""

import asyncio
import gzip
import hmac
import socket

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import aiohttp
import pytest

from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from connectors.http import Document, HttpClient
from connectors.rss import websub
from connectors.rss.websub import Hubs, Pace, is_signed
from streams import clock
from streams.errors import AddressError, FatalError, SourceError
from streams.settings import Http, Rss, Settings
from tests.integration.connecting import until
from tests.integration.hub import Hub, a_hub


TOPIC = "https://paper.example/feed"
BRISK = Pace(verify_s=0.3, retry_s=0.1, retry_max_s=0.4, renew_least_s=0.05, gap_s=0)


class Reader:
    """A connector, as far as hubs know one."""

    def __init__(self, base: str, hub: Hub) -> None:
        self.base = base
        self.hub = hub
        self.got: asyncio.Queue[tuple[str, Document]] = asyncio.Queue()
        self.fails: Exception | None = None
        self.holds = asyncio.Event()
        self.holds.set()

    async def deliver(self, ident: str, document: Document) -> None:
        await self.holds.wait()
        if self.fails:
            raise self.fails
        await self.got.put((ident, document))

    async def next(self) -> tuple[str, Document]:
        async with asyncio.timeout(5):
            return await self.got.get()

    @property
    def callback(self) -> str:
        return self.hub.requests[0]["hub.callback"]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@asynccontextmanager
async def subscribing(
    hub: Hub, *, pace: Pace = BRISK, size_max_mb: float = 1.0, base: str = ""
) -> AsyncIterator[tuple[Hubs, Reader]]:
    base = base or f"http://127.0.0.1:{free_port()}"
    settings = Settings(
        http=Http(allow_private=("127.0.0.1",), size_max_mb=size_max_mb, timeout_s=5),
        rss=Rss(
            websub_callback=f"{base}/websub",
            websub_listen=base.removeprefix("http://"),
            websub_lease_s=900,
        ),
    )
    reader = Reader(base, hub)
    stop = asyncio.Event()
    async with HttpClient(settings.http) as http:
        hubs = Hubs(settings, http, reader.deliver, pace=pace)
        task = asyncio.create_task(hubs.run(stop))
        try:
            yield hubs, reader
        finally:
            stop.set()
            reader.holds.set()
            async with asyncio.timeout(2):
                with suppress(FatalError):
                    await task


async def subscribed(hub: Hub, topic: str = TOPIC) -> None:
    await until(lambda: bool(hub.subscribers.get(topic)))


async def test_a_subscription_is_asked_for_verified_and_delivered() -> None:
    async with a_hub() as hub, subscribing(hub) as (hubs, reader):
        hubs.offer("paper", TOPIC, hub.url)
        await subscribed(hub)
        assert hubs.until("paper") is None, "it has yet to deliver"
        assert await hub.publish(TOPIC, b"<rss>1</rss>") == [202]
        ident, document = await reader.next()
        (asked,) = hub.requests
        ends = hubs.until("paper")
    assert (ident, document.body, document.url) == ("paper", b"<rss>1</rss>", TOPIC)
    assert document.content_type == "application/rss+xml"
    assert asked["hub.mode"] == "subscribe"
    assert asked["hub.lease_seconds"] == "900"
    assert len(asked["hub.secret"]) == 64
    assert ends is not None
    assert timedelta(seconds=590) < ends - clock.now() < timedelta(seconds=600)


@pytest.mark.parametrize("method", sorted(websub.METHODS))
async def test_every_signature_of_the_specification_is_understood(method: str) -> None:
    async with a_hub() as hub, subscribing(hub) as (hubs, reader):
        hubs.offer("paper", TOPIC, hub.url)
        await subscribed(hub)
        await hub.publish(TOPIC, b"<rss/>", method=method)
        assert (await reader.next())[1].body == b"<rss/>"


@pytest.mark.parametrize("signature", ["", "sha256=00", "md5=00", "sha1=ä", "nonsense"])
async def test_what_is_not_signed_by_the_secret_is_acknowledged_and_ignored(
    signature: str,
) -> None:
    async with a_hub() as hub, subscribing(hub) as (hubs, reader):
        hubs.offer("paper", TOPIC, hub.url)
        await subscribed(hub)
        with capture_logs() as lines:
            headers = {"X-Hub-Signature": signature}
            assert await hub.publish(TOPIC, b"secret words", headers=headers) == [202]
        await hub.publish(TOPIC, b"<rss/>")
        assert (await reader.next())[1].body == b"<rss/>"
        assert hubs.counts["unsigned"] == 1
    assert any(line["event"] == "rss.push_unsigned" for line in lines)
    assert "secret words" not in str(lines)


async def test_a_lease_is_renewed_before_it_ends() -> None:
    async with a_hub() as hub, subscribing(hub) as (hubs, reader):
        hub.lease_s = 1
        hubs.offer("paper", TOPIC, hub.url)
        await subscribed(hub)
        await hub.publish(TOPIC, b"<rss/>")
        await reader.next()
        first = hubs.until("paper")
        assert first is not None
        await until(lambda: len(hub.requests) == 2)
        assert clock.now() < first
        await until(lambda: (hubs.until("paper") or first) > first)
        again = {request["hub.callback"] for request in hub.requests}
    assert len(again) == 1, "the same subscription, no second one"


async def test_a_hub_that_dies_is_not_relied_on_when_its_lease_ends() -> None:
    async with a_hub() as hub, subscribing(hub) as (hubs, reader):
        hub.lease_s = 1
        hubs.offer("paper", TOPIC, hub.url)
        await subscribed(hub)
        await hub.publish(TOPIC, b"<rss/>")
        await reader.next()
        hub.status = 503
        assert hubs.until("paper") is not None
        await until(lambda: hubs.until("paper") is None)
        hub.status = 202
        await until(lambda: hubs.until("paper") is not None)


async def test_a_hub_that_never_verifies_is_asked_ever_more_rarely() -> None:
    async with a_hub() as hub, subscribing(hub) as (hubs, _):
        hub.verifies = False
        hubs.offer("paper", TOPIC, hub.url)
        await until(lambda: len(hub.requests) == 2)
        assert hubs.until("paper") is None
        hub.verifies = True
        await subscribed(hub)


async def test_a_hub_that_verifies_and_keeps_back_what_polls_find_is_not_relied_on() -> (
    None
):
    async with a_hub() as hub, subscribing(hub) as (hubs, reader):
        hubs.offer("paper", TOPIC, hub.url)
        await subscribed(hub)
        await hub.publish(TOPIC, b"<rss/>")
        await reader.next()
        for _ in range(websub.MISSES_MAX):
            assert hubs.until("paper") is not None
            hubs.missed("paper")
        assert hubs.until("paper") is None
        await hub.publish(TOPIC, b"<rss>2</rss>")
        await reader.next()
        assert hubs.until("paper") is not None, "it has mended its ways"


async def test_a_denial_is_taken_for_an_answer() -> None:
    async with a_hub() as hub, subscribing(hub) as (hubs, _):
        hub.denies = True
        with capture_logs() as lines:
            hubs.offer("paper", TOPIC, hub.url)
            await until(lambda: any("denied: no" in str(line) for line in lines))
        assert hubs.until("paper") is None
        hub.denies = False
        await subscribed(hub)


async def test_a_feed_that_is_dropped_is_unsubscribed() -> None:
    async with a_hub() as hub, subscribing(hub) as (hubs, reader):
        hubs.offer("paper", TOPIC, hub.url)
        await subscribed(hub)
        hubs.drop("paper")
        await until(lambda: not hub.subscribers[TOPIC])
        assert [form["hub.mode"] for form in hub.requests] == [
            "subscribe",
            "unsubscribe",
        ]
        async with aiohttp.ClientSession() as client:
            answer = await client.post(reader.callback, data=b"late")
            assert answer.status == 410


async def test_feeds_of_one_topic_share_a_subscription() -> None:
    async with a_hub() as hub, subscribing(hub) as (hubs, reader):
        for ident in ("one", "two", "two"):
            hubs.offer(ident, TOPIC, hub.url)
        await subscribed(hub)
        await hub.publish(TOPIC, b"<rss/>")
        assert {(await reader.next())[0], (await reader.next())[0]} == {"one", "two"}
        hubs.drop("one")
        await hub.publish(TOPIC, b"<rss/>")
        assert (await reader.next())[0] == "two"
        assert len(hub.requests) == 1


async def test_a_feed_that_names_another_hub_leaves_the_old_one() -> None:
    async with a_hub() as old, a_hub() as new, subscribing(old) as (hubs, _):
        hubs.offer("paper", TOPIC, old.url)
        await subscribed(old)
        hubs.offer("paper", TOPIC, new.url)
        await subscribed(new)
        await until(lambda: not old.subscribers[TOPIC])
        hubs.offer("paper", TOPIC, "")
        await until(lambda: not new.subscribers[TOPIC])


async def test_a_hub_that_has_moved_is_followed_with_the_form() -> None:
    async with a_hub() as hub, subscribing(hub) as (hubs, _):
        hubs.offer("paper", TOPIC, hub.url.replace("/hub", "/moved"))
        await subscribed(hub)
        assert hub.requests[0] == hub.requests[1]


async def test_only_what_was_asked_for_is_verified() -> None:
    async with a_hub() as hub, subscribing(hub) as (hubs, reader):
        hubs.offer("paper", TOPIC, hub.url)
        await subscribed(hub)
        asked = {
            "hub.mode": "subscribe",
            "hub.topic": TOPIC,
            "hub.challenge": "<b>x",
            "hub.lease_seconds": "60",
        }
        assert await hub.get(reader.callback, asked) == (200, "<b>x")
        for wrong in (
            {"hub.topic": "https://other.example/"},
            {"hub.mode": "unsubscribe"},
            {"hub.challenge": ""},
        ):
            assert (await hub.get(reader.callback, asked | wrong))[0] == 404
        assert (await hub.get(f"{reader.base}/websub/guess", asked))[0] == 404


async def test_old_callbacks_are_gone_after_a_restart() -> None:
    async with a_hub() as hub:
        async with subscribing(hub) as (hubs, first):
            hubs.offer("paper", TOPIC, hub.url)
            await subscribed(hub)
        async with subscribing(hub, base=first.base) as (hubs, second):
            assert await hub.publish(TOPIC, b"<rss/>") == [410]
            hubs.offer("paper", TOPIC, hub.url)
            await subscribed(hub)
            assert await hub.publish(TOPIC, b"<rss/>") == [202]
            await second.next()
    before, after = hub.requests
    assert before["hub.callback"] != after["hub.callback"]
    assert before["hub.secret"] != after["hub.secret"]


async def test_a_body_is_limited_as_sent_and_as_unpacked() -> None:
    async with a_hub() as hub, subscribing(hub, size_max_mb=0.1) as (hubs, reader):
        hubs.offer("paper", TOPIC, hub.url)
        await subscribed(hub)
        assert await hub.publish(TOPIC, b"x" * 100_001) == [413]
        packed = {"Content-Encoding": "gzip"}
        bomb = gzip.compress(b"x" * 10_000_000)
        assert await hub.publish(TOPIC, bomb, headers=packed) == [202]
        feed = gzip.compress(b"<rss/>")
        assert await hub.publish(TOPIC, feed, headers=packed) == [202]
        assert (await reader.next())[1].body == b"<rss/>"
        assert (hubs.counts["too_large"], hubs.counts["unreadable"]) == (1, 1)


async def test_a_hub_is_told_to_come_again_while_the_connector_is_busy() -> None:
    async with a_hub() as hub, subscribing(hub) as (hubs, reader):
        hubs.offer("paper", TOPIC, hub.url)
        await subscribed(hub)
        reader.holds.clear()
        sent = [
            await hub.publish(TOPIC, b"%d" % n) for n in range(websub.INBOX_MAX + 1)
        ]
        assert sent == [[202]] * (websub.INBOX_MAX + 1)
        assert await hub.publish(TOPIC, b"more") == [503]
        reader.holds.set()
        got = [(await reader.next())[1].body for _ in range(websub.INBOX_MAX + 1)]
    assert got == [b"%d" % n for n in range(websub.INBOX_MAX + 1)], "in order"


async def test_a_hub_that_sends_slowly_and_often_holds_up_no_other() -> None:
    async with a_hub() as hub, subscribing(hub) as (hubs, reader):
        hubs.offer("slow", "https://slow.example/feed", hub.url)
        await subscribed(hub, "https://slow.example/feed")
        hubs.offer("paper", TOPIC, hub.url)
        await subscribed(hub)
        first, *_ = [one["hub.callback"] for one in hub.requests]
        head = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
        port = int(reader.base.rpartition(":")[2])
        held: list[asyncio.StreamWriter] = []
        async with asyncio.timeout(5):
            for _ in range(websub.RECEIVING_MAX + 1):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(head % first.removeprefix(reader.base).encode())
                held.append(writer)
            refused = websub.RECEIVING_MAX + 1 - websub.RECEIVING_EACH
            await until(lambda: hubs.counts["busy"] == refused)
        assert await hub.publish(TOPIC, b"<rss/>") == [202]
        for writer in held:
            writer.close()


async def test_strangers_are_held_off_and_hubs_are_not() -> None:
    async with a_hub() as hub, subscribing(hub) as (hubs, reader):
        hubs.offer("paper", TOPIC, hub.url)
        await subscribed(hub)
        hubs._bucket = websub._Bucket(0.001, 3)
        async with aiohttp.ClientSession() as client:
            answers = [await client.get(f"{reader.base}/healthz") for _ in range(5)]
            assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
        assert await hub.publish(TOPIC, b"<rss/>") == [202]


async def test_a_fault_of_one_delivery_does_not_end_the_next() -> None:
    async with a_hub() as hub, subscribing(hub) as (hubs, reader):
        hubs.offer("paper", TOPIC, hub.url)
        await subscribed(hub)
        reader.fails = SourceError("not a feed")
        with capture_logs() as lines:
            await hub.publish(TOPIC, b"nonsense")
            await until(lambda: any(x["event"] == "rss.push_failed" for x in lines))
        reader.fails = None
        await hub.publish(TOPIC, b"<rss/>")
        assert (await reader.next())[1].body == b"<rss/>"


@pytest.mark.parametrize(
    ("topic", "hub"),
    [
        ("ftp://paper.example/feed", "https://hub.example/"),
        (TOPIC, "javascript:alert(1)"),
        (TOPIC, "https://user:pass@hub.example/"),
        (TOPIC, ""),
        ("https://paper.example/feed?key=***", "https://hub.example/"),
        ("//[", "https://hub.example/"),
    ],
)
async def test_only_web_addresses_without_secrets_are_subscribed(
    topic: str, hub: str
) -> None:
    async with a_hub() as real, subscribing(real) as (hubs, _):
        hubs.offer("paper", topic, hub)
        assert not hubs._of_topic


async def test_without_a_callback_nothing_listens_and_nothing_is_asked() -> None:
    settings, stop = Settings(), asyncio.Event()
    async with HttpClient(settings.http) as http:
        hubs = Hubs(settings, http, Reader("", Hub.__new__(Hub)).deliver)
        hubs.offer("paper", TOPIC, "https://hub.example/")
        hubs.drop("paper")
        stop.set()
        await hubs.run(stop)
        assert hubs.until("paper") is None


@pytest.mark.parametrize("callback", ["wire.example", "ftp://wire.example/", "http://"])
async def test_a_callback_that_is_no_web_address_is_named(callback: str) -> None:
    settings = Settings(rss=Rss(websub_callback=callback))
    async with HttpClient(settings.http) as http:
        hubs = Hubs(settings, http, Reader("", Hub.__new__(Hub)).deliver)
        with pytest.raises(AddressError, match=r"rss\.websub_callback"):
            await hubs.run(asyncio.Event())


async def test_an_address_that_cannot_be_listened_on_is_named() -> None:
    for listen in ("nonsense", "127.0.0.1:99999", "192.0.2.1:80"):
        rss = Rss(websub_callback="http://x.example/", websub_listen=listen)
        settings = Settings(rss=rss)
        async with HttpClient(settings.http) as http:
            hubs = Hubs(settings, http, Reader("", Hub.__new__(Hub)).deliver)
            with pytest.raises(AddressError, match=r"rss\.websub_listen"):
                await hubs.run(asyncio.Event())


@given(
    st.binary(max_size=100),
    st.text(max_size=90),
    st.sampled_from(sorted(websub.METHODS)),
)
def test_only_the_right_signature_is_one(body: bytes, other: str, method: str) -> None:
    right = hmac.new(b"secret", body, method).hexdigest()
    assert is_signed(body, f"{method}={right}", "secret")
    assert is_signed(body, f"{method.upper()}={right.upper()}", "secret")
    assert not is_signed(body, f"{method}={other}", "secret")
    assert not is_signed(body, other, "secret")
    assert not is_signed(body + b"x", f"{method}={right}", "secret")


@given(st.lists(st.floats(min_value=0, max_value=5), max_size=60))
def test_strangers_get_no_more_than_their_share(pauses: list[float]) -> None:
    bucket, at_s, passed = websub._Bucket(rate=2, burst=5), 1000.0, 0
    for pause_s in pauses:
        at_s += pause_s
        passed += bucket.take(at_s)
    assert passed <= 5 + 2 * sum(pauses) + 1e-6


@given(st.text(max_size=40), st.text(max_size=40))
def test_whatever_a_feed_names_as_its_hub_harms_nobody(topic: str, hub: str) -> None:
    settings = Settings(rss=Rss(websub_callback="https://wire.example/websub"))
    hubs = Hubs(
        settings, HttpClient(settings.http), Reader("", Hub.__new__(Hub)).deliver
    )
    for one in (topic, f"http://{topic}"):
        hubs.offer("paper", one, f"https://{hub}")
    assert hubs.until("paper") is None
    hubs.drop("paper")
    assert hubs.subscription("paper") == ("", "")
