"""How a task finds what the task before it left: the manifest's address travels in XCom, no data does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etl_factory.config.resource import Resource
from etl_factory.errors import StaleError
from etl_factory.landing.manifest import Manifest, dumps, load_manifest
from etl_factory.landing.objects import Landing


def read_manifest(context: Mapping[str, Any], resource: Resource, landing: Landing, step: str) -> Manifest:
    """Return the manifest that the sibling task `step` wrote.

    Raises StaleError when it is gone, was changed, or was made from another configuration than today's.
    """
    name, uri = f"{resource.dag_id}.{resource.name}", manifest_uri(context, resource, step)
    text = landing.read_text(uri)
    if text is None:
        raise StaleError(f"{name}: manifest {uri} is gone: clear the run from `extract`")
    manifest = load_manifest(text)
    if manifest.spec_digest != resource.spec_digest:
        raise StaleError(
            f"{name}: the configuration changed since `extract` ran ({manifest.spec_digest} is now"
            f" {resource.spec_digest}): clear the run from `extract`"
        )
    return manifest


def manifest_uri(context: Mapping[str, Any], resource: Resource, step: str) -> str:
    """Return where the sibling task `step` wrote its manifest; raises StaleError when it left none."""
    left = context["ti"].xcom_pull(task_ids=f"{resource.name}.{step}")
    if not left:
        name = f"{resource.dag_id}.{resource.name}"
        raise StaleError(f"{name}: task {step} left no manifest: clear the run from `extract`")
    return str(left["manifest"])


def write_manifest(landing: Landing, prefix: str, manifest: Manifest, **counts: Any) -> dict[str, Any]:
    """Write a manifest, last of all a step does, and return what XCom carries."""
    uri = f"{prefix}/manifest.json"
    if not landing.write_text(uri, dumps(manifest)):
        raise StaleError(f"{uri} exists already: another process uses this attempt's name")
    return {"manifest": uri, **counts}
