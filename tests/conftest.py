"""What all tests have in common: an environment without our settings, and the servers."""

from __future__ import annotations

import os
import signal

from collections.abc import Iterator

import pytest

from hypothesis import settings

from streams.settings import ENV_PREFIX


pytest_plugins = ["tests.servers.plugin"]

# Two loaded cores make single examples slow; how slow is no claim of these tests. In CI
# Hypothesis has chosen its own profile by now, which sets no deadline either.
if settings.get_current_profile_name() != "ci":
    settings.register_profile("wirewatch", deadline=None)
    settings.load_profile("wirewatch")


# A shell that starts a test run in the background has it ignore SIGINT, and what the
# tests start would inherit that: Ctrl-C is among the things that they try.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_settings_from_outside() -> Iterator[None]:
    """Keep the developer's WIREWATCH_* out of the tests and of what they start."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
            patch.delenv(name)
        yield
