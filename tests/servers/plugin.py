"""The pytest side of the servers: fixtures, and what becomes of tests without them.

A test says what it needs by its fixtures (or, where a fixture is chosen at run time, by
the marker ``kafka`` or ``elasticsearch``). Servers that nobody needs are not started;
those that somebody needs start while the first tests run. Without servers the tests are
skipped, loudly; with ``CI`` set, a skipped one is a failure.

When the run is spread over processes (``pytest -n``), the first one starts the servers
that all share, and tells the others where they are.
"""

from __future__ import annotations

import asyncio
import os

from collections.abc import Callable, Coroutine, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from _pytest.terminal import TerminalReporter

from streams.acls import ROLES
from tests.servers.errors import UnavailableError
from tests.servers.handles import ElasticsearchServer, KafkaServer, Kind
from tests.servers.identities import ADMIN, Identities
from tests.servers.leftovers import drop_indices, drop_topics
from tests.servers.maven import Maven
from tests.servers.secure import SecureKafkaServer
from tests.servers.suite import VARIABLES, Suite


KINDS: tuple[Kind, ...] = ("kafka", "elasticsearch")
_SUITE = pytest.StashKey[Suite]()


def pytest_configure(config: pytest.Config) -> None:
    told = getattr(config, "workerinput", {}).get("servers", {})
    config.stash[_SUITE] = Suite(os.environ | told)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Start what the processes of a spread run share, before they begin."""
    config.stash[_SUITE].prepare(KINDS, KINDS)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell one of these processes where the servers are."""
    suite = node.config.stash[_SUITE]
    node.workerinput["servers"] = {
        VARIABLES[kind]: suite.shared(kind) for kind in KINDS if not suite.missing(kind)
    }


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[_SUITE].close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a server's fixture, so that ``-m 'not kafka'`` finds it."""
    for item in items:
        for kind in KINDS:
            if {kind, *_own(kind)} & set(_fixtures(item)):
                item.add_marker(kind)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Get hold of the servers, here: a download may take longer than a test may."""
    if session.config.option.collectonly:
        return
    marked = [(i, kind) for i in session.items for kind in KINDS if _marked(i, kind)]
    own = {kind for item, kind in marked if _own(kind) & set(_fixtures(item))}
    shared = {kind for item, kind in marked if _shares(item, kind)}
    session.config.stash[_SUITE].prepare(shared, own)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip of a server's test into a failure, in CI."""
    report = yield
    skipped = report.skipped and not hasattr(report, "wasxfail")
    if skipped and _in_ci() and any(_marked(item, kind) for kind in KINDS):
        report.outcome = "failed"
        report.longrepr = f"skipped, which in CI is a failure: {report.longreprtext}"
    return report


def pytest_terminal_summary(
    terminalreporter: TerminalReporter, config: pytest.Config
) -> None:
    for kind in KINDS:
        if reason := config.stash[_SUITE].missing(kind, own=True):
            terminalreporter.write_line(
                f"TESTS THAT NEED {kind.upper()} DID NOT RUN: {reason}. Name a server "
                f"in {VARIABLES[kind]}, start a container engine, or install Maven "
                "and Java 21.",
                red=True,
                bold=True,
            )


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Suite:
    """All servers of this run."""
    return request.config.stash[_SUITE]


@pytest.fixture(scope="session")
def kafka(servers: Suite) -> str:
    """``host:port`` of a broker that the whole run shares: use ``prefix``."""
    return _address(servers, "kafka")


@pytest.fixture(scope="session")
def elasticsearch(servers: Suite) -> str:
    """URL of a node that the whole run shares: use ``prefix``."""
    return _address(servers, "elasticsearch")


@pytest.fixture
def own_kafka(servers: Suite) -> Iterator[Callable[[], KafkaServer]]:
    """Start a broker for this test alone, to kill or to pause."""
    started: list[KafkaServer] = []

    def start() -> KafkaServer:
        _require(servers.missing("kafka", own=True))
        started.append(servers.own_kafka())
        return started[-1]

    yield start
    for server in started:
        server.end()


@pytest.fixture(scope="session")
def maven(servers: Suite) -> Maven:
    """Return Maven, for a broker that is set up as no container is: TLS, a proxy."""
    try:
        return servers.maven()
    except UnavailableError as error:
        return pytest.skip(f"no server: it must be Maven's: {error}")


@pytest.fixture(scope="module")
def secure_kafka(servers: Suite, maven: Maven) -> Iterator[SecureKafkaServer]:
    """Return a broker with TLS, users and rights, for the tests of one module."""
    users = [ADMIN, *(f"wirewatch-{role}" for role in (*ROLES, "stranger"))]
    server = servers.secure_kafka(
        maven,
        Identities({name: f"password-of-{name}-{uuid4().hex}" for name in users}),
    )
    yield server
    server.end()


@pytest.fixture
def own_elasticsearch(servers: Suite) -> Iterator[Callable[[], ElasticsearchServer]]:
    """Start a node for this test alone, to kill or to pause."""
    started: list[ElasticsearchServer] = []

    def start() -> ElasticsearchServer:
        _require(servers.missing("elasticsearch", own=True))
        started.append(servers.own_elasticsearch())
        return started[-1]

    yield start
    for server in started:
        server.end()


@pytest.fixture
def prefix(request: pytest.FixtureRequest, servers: Suite) -> Iterator[str]:
    """Begin the names of this test's topics, groups and indices, which go with it."""
    prefix = f"t{uuid4().hex[:8]}-"
    yield prefix
    if _shares(request.node, "kafka") and not servers.missing("kafka"):
        _run(drop_topics(servers.shared("kafka"), prefix))
    if _shares(request.node, "elasticsearch") and not servers.missing("elasticsearch"):
        drop_indices(servers.shared("elasticsearch"), prefix)


def _own(kind: Kind) -> set[str]:
    """Return the fixtures that start a server of *kind* which is not the run's."""
    return {f"own_{kind}"} | ({"maven"} if kind == "kafka" else set())


def _address(servers: Suite, kind: Kind) -> str:
    _require(servers.missing(kind))
    return servers.shared(kind)


def _require(missing: str) -> None:
    if missing:
        pytest.skip(f"no server: {missing}")


def _fixtures(item: pytest.Item) -> list[str]:
    return getattr(item, "fixturenames", [])


def _marked(item: pytest.Item, kind: Kind) -> bool:
    return item.get_closest_marker(kind) is not None


def _shares(item: pytest.Item, kind: Kind) -> bool:
    """Whether *item* uses the run's server of *kind*, beside one of its own or not."""
    fixtures = set(_fixtures(item))
    return _marked(item, kind) and (kind in fixtures or not _own(kind) & fixtures)


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}


def _run(work: Coroutine[None, None, None]) -> None:
    """Run *work* in a loop of its own, out of the way of the test's."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()
