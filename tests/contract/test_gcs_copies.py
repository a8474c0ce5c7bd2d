"""What is Cloud Storage's own: a copy that it makes by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from edge import edge_of
from etl_factory.landing.objects import Landing
from file_systems import GCS, gcs_client, in_use, one

pytestmark = [
    pytest.mark.stack,
    # google's own: its client leaves the connection of a failed request to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]


@pytest.fixture(scope="module")
def store(stack: object) -> Iterator[GCS]:
    with in_use(GCS()) as made:
        yield made


def test_a_copy_takes_no_metadata_along(store: GCS) -> None:
    """Else it would be read decompressed, and be stored as the source is; the emulator copies it anyway."""
    item = one(store, "copied/a.csv.gz", b"mine")
    with edge_of(store.endpoint) as front:
        client = gcs_client(front.url)
        store.copy(store.source())(item, store.uri("bare"), Landing(client))
        client.close()

    described = [body for body in front.bodies if b"contentType" in body]
    assert described
    assert not [body for body in described if b"contentEncoding" in body or b"storageClass" in body]


def test_a_write_whose_answer_is_lost_counts(store: GCS) -> None:
    """The client repeats it, and finds what it has written itself."""
    item, uri = one(store, "copied/a", b"mine"), store.uri("landed")
    with edge_of(store.endpoint) as front:
        front.answers("rewriteTo", 503, is_done=True)
        client = gcs_client(front.url)
        store.copy(store.source())(item, uri, Landing(client))
        client.close()

        assert sum("rewriteTo" in line for line in front.seen) == 2
    assert Landing(store.admin).blob(uri).download_as_bytes() == b"mine"
