"""What one broken file costs, what is never skipped in silence, and what one DAG id needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl_factory.config.loading import BrokenFile, SourceFile, load, load_source
from etl_factory.errors import ConfigError
from examples import REPOSITORY, SOURCE, TENANT, Write

SECOND = SOURCE.replace("shop_db", "crm_db")


def messages(root: Path) -> dict[str, list[str]]:
    """Return the broken files' messages by DAG id, without the root."""
    return {b.dag_id: [str(e).replace(f"{root}/", "") for e in b.errors] for b in load(root).errors}


def test_one_broken_file_hides_no_other(write: Write) -> None:
    root = write(
        {
            "acme/tenant.yaml": TENANT,
            "acme/shop_db.yaml": "type: [",
            "acme/crm_db.yaml": SECOND,
            "globex/tenant.yaml": "tenant: [",
            "globex/shop_db.yaml": SOURCE,
            "initech/tenant.yaml": TENANT.replace("acme", "initech"),
            "initech/shop_db.yaml": SOURCE,
        }
    )

    catalogue = load(root)

    assert [source.dag_id for source in catalogue.sources] == ["acme__crm_db", "initech__shop_db"]
    assert [tenant.tenant for tenant in catalogue.tenants] == ["acme", "initech"]
    assert sorted(messages(root)) == ["acme__shop_db", "globex__shop_db", "globex__tenant"]


def test_a_missing_tenant_file_breaks_its_sources(write: Write) -> None:
    root = write({"acme/shop_db.yaml": SOURCE})

    missing = "acme/tenant.yaml:1: tenant.yaml is missing: every tenant's folder has one"
    assert messages(root) == {"acme__tenant": [missing], "acme__shop_db": [missing]}


def test_what_is_not_read_is_said(write: Write) -> None:
    root = write(
        {
            "acme/tenant.yaml": TENANT,
            "acme/shop_db.yml": SOURCE,
            "acme/deep/crm_db.yaml": SECOND,
            "stray.yaml": SOURCE,
            "acme/README.md": "read me",
            "acme/.hidden.yaml": "a: 1",
            ".git/x.yaml": "a: 1",
        }
    )

    found = messages(root)

    assert sorted(m for m in found.values()) == [
        ["acme/deep/crm_db.yaml:1: this file is not read: a source is a file acme/<source>.yaml"],
        ["acme/shop_db.yml:1: this file is not read: a source is a file acme/<source>.yaml"],
        ["stray.yaml:1: this file is not read: a source is a file <tenant>/<source>.yaml"],
    ]
    assert all(len(dag_id) > len("acme__shop_db") for dag_id in found)


def test_one_source_in_two_files_breaks_both(write: Write) -> None:
    root = write({"acme/tenant.yaml": TENANT, "acme/shop_db.yaml": SOURCE, "acme/copy.yaml": SOURCE})

    assert messages(root) == {
        "acme__copy": [
            "acme/copy.yaml:1: source: the file is named copy.yaml: a source and its file have one name",
            "acme/copy.yaml:1: source: source 'shop_db' is also declared in shop_db.yaml: one source is one file",
        ],
        "acme__shop_db": [
            "acme/shop_db.yaml:1: source: source 'shop_db' is also declared in copy.yaml: one source is one file"
        ],
    }


def test_one_table_of_two_tenants_breaks_both(write: Write) -> None:
    root = write(
        {
            "acme/tenant.yaml": TENANT,
            "acme/shop_db.yaml": SOURCE,
            "globex/tenant.yaml": TENANT.replace("tenant: acme", "tenant: globex"),
            "globex/shop_db.yaml": SOURCE,
            "globex/crm_db.yaml": SECOND,
        }
    )

    found = messages(root)

    assert sorted(found) == ["acme__shop_db", "globex__shop_db"]
    assert found["acme__shop_db"] == [
        "acme/shop_db.yaml:5: resources.orders: table acme-analytics.raw.shop_db__orders is also written by"
        " globex__shop_db.orders: give one of them another target_table",
        "acme/shop_db.yaml:5: resources.orders: ledger acme-analytics.raw_etl._loads__shop_db__orders would also be"
        " globex__shop_db.orders's: tenants that share a dataset need different source or resource names",
    ]


def test_a_broken_file_keeps_its_schedule(write: Write) -> None:
    bad = SOURCE.replace("resources:", "schedule: '@daily'\nresource:")
    root = write({"acme/tenant.yaml": TENANT + "timezone: Europe/Warsaw\n", "acme/shop_db.yaml": bad})

    (broken,) = load(root).errors

    assert (broken.schedule, broken.timezone) == ("0 0 * * *", "Europe/Warsaw")


def test_a_folder_with_any_name_gets_a_dag_id(write: Write) -> None:
    root = write(
        {"Acme Corp/tenant.yaml": TENANT, "Acme Corp/shöp.yaml": SOURCE, "Acme_Corp/shöp.yaml": SOURCE}
    )

    ids = [broken.dag_id for broken in load(root).errors]

    assert len(set(ids)) == len(ids) == 4
    assert all(dag_id.isascii() and " " not in dag_id for dag_id in ids)


def test_one_dag_id_reads_two_files_only(write: Write) -> None:
    root = write({"acme/tenant.yaml": TENANT, "acme/shop_db.yaml": SOURCE, "acme/crm_db.yaml": "["})

    found = load_source(root, "acme__shop_db")
    broken = load_source(root, "acme__crm_db")

    assert isinstance(found, SourceFile)
    assert found.spec == load(root).sources[0].spec
    assert isinstance(broken, BrokenFile)
    assert broken.dag_id == "acme__crm_db"
    assert [str(e) for e in broken.errors] == [str(e) for e in load(root).errors[0].errors]
    for unknown in ("acme__none", "none__shop_db", "acme__tenant", "shop_db", "__", "", "../x__y"):
        assert load_source(root, unknown) is None


def test_no_root() -> None:
    with pytest.raises(
        ConfigError, match=r"config root /nowhere is not a folder: set ETL_FACTORY_CONFIG_ROOT"
    ):
        load("/nowhere")
    with pytest.raises(
        ConfigError, match=r"config root gs://bucket/tenants cannot be read here: DAGs are parsed offline"
    ):
        load_source("gs://bucket/tenants", "acme__shop_db")


def test_an_empty_root_is_an_empty_catalogue(write: Write) -> None:
    catalogue = load(write({}))

    assert (catalogue.tenants, catalogue.sources, catalogue.errors) == ((), (), ())


def test_every_example_is_valid() -> None:
    catalogue = load(REPOSITORY / "config/tenants", roles=frozenset({"acme", "globex"}))

    assert [str(error) for broken in catalogue.errors for error in broken.errors] == []
    assert [tenant.tenant for tenant in catalogue.tenants] == ["acme", "globex"]
    types = {source.spec.type for source in catalogue.sources if source.tenant.tenant == "acme"}
    assert types == {"postgres", "mysql", "bigquery", "gcs", "s3", "azure_blob"}
