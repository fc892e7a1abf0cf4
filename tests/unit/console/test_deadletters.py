from __future__ import annotations

import pytest

from typer.testing import CliRunner

from console.cli import app


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("1", "2", "--value", "mended.json"),
        ("--all", "--value", "mended.json"),
        ("--since", "yesterday"),
        ("twelve",),
    ],
)
def test_a_retry_that_does_not_say_what_of_is_a_usage_error(
    words: tuple[str, ...],
) -> None:
    done = CliRunner().invoke(app, ["deadletters", "retry", *words])
    assert done.exit_code == 2, done.output
