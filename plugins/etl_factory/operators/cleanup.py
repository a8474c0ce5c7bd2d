"""Removes what a load leaves behind once it is published, and what failed loads left when it is old enough."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from etl_factory.config.resource import Resource
from etl_factory.errors import EtlFactoryError
from etl_factory.landing.manifest import Manifest
from etl_factory.landing.objects import Landing
from etl_factory.landing.unchanged import REQUESTS_AT_ONCE
from etl_factory.warehouse.client import STAGING_DAYS, Warehouse
from etl_factory.warehouse.ledger import Head

log = logging.getLogger(__name__)
# A load's plan, and what each step hands to the next; a copied source file may have any name, further down.
KEPT = re.compile(r"plan-[^/]+\.json|[^/]+/manifest\.json")


@dataclass(frozen=True)
class Cleanup:
    """What one publish may remove; all of it can be done again, and none of it fails the task.

    Plans and manifests stay, so that a publish that dies in here is found committed when it is tried again.
    """

    resource: Resource
    landing: Landing
    warehouse: Warehouse

    def remove_load(self, manifest: Manifest, uri: str) -> None:
        """Remove a load's staging tables, and its parts and copied files; `uri` is where its manifest lies.

        Objects younger than that are of a clearing that runs meanwhile: they stay.
        """
        tables, folder = manifest.staging_tables, f"{self._folder(manifest.plan.load_id)}/"
        with self._forgiving(
            f"staging tables {', '.join(tables)}", f"expires {STAGING_DAYS} days after the load"
        ):
            for table in tables:
                self.warehouse.drop(table)
        with self._forgiving(f"objects under {folder}", self._until):
            made = dict(self.landing.ages(folder))
            last = made.get(uri, datetime.min.replace(tzinfo=UTC))
            self._delete(
                name
                for name, moment in made.items()
                if moment <= last and not KEPT.fullmatch(name.removeprefix(folder))
            )

    def sweep(self, before: Head, now: datetime) -> None:
        """Remove every object of this resource that is too old to be needed, on a day's first publish.

        `before` is the ledger's head before this publish.
        """
        if before.published_at and before.published_at.date() == now.date():
            return
        oldest = now - timedelta(days=STAGING_DAYS)
        with self._forgiving(f"objects under {self._folder('')}", self._until):
            self._delete(uri for uri, made in self.landing.ages(self._folder("")) if made < oldest)

    @property
    def _until(self) -> str:
        return f"is removed by the first publish of a day once it is {STAGING_DAYS} days old"

    def _folder(self, load_id: str) -> str:
        return self.resource.target.landing_prefix(load_id)

    def _delete(self, uris: Iterable[str]) -> None:
        """Delete objects, several at a time; the first refusal ends it, lest a store that is down be waited for."""
        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as pool:
            list(pool.map(self.landing.delete, uris))

    @contextmanager
    def _forgiving(self, what: str, then: str) -> Iterator[None]:
        """Let what the stores refuse pass with a warning: what it is about has been published."""
        try:
            yield
        except EtlFactoryError as error:
            name = f"{self.resource.dag_id}.{self.resource.name}"
            log.warning(
                "%s: published, but %s could not be removed: %s. What is left of them %s",
                name,
                what,
                error,
                then,
            )
