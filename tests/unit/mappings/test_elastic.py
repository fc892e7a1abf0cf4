from __future__ import annotations

import pytest

from mappings.elastic import ElasticIndex
from streams.errors import SettingsError
from streams.settings import Elasticsearch


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (Elasticsearch(url="http://u:sesame@search.example"), "elasticsearch.url"),
        (Elasticsearch(url="search.example:9200"), "elasticsearch.url"),
        (
            Elasticsearch(url="https://a.example:9200", ca_file="/none.pem"),
            "elasticsearch.ca_file",
        ),
    ],
)
def test_an_address_that_cannot_be_used_is_a_setting_to_mend(
    settings: Elasticsearch, named: str
) -> None:
    with pytest.raises(SettingsError, match=named) as caught:
        ElasticIndex(settings, "test-")
    assert "sesame" not in str(caught.value)
