"""The smallest valid config files, for tests to change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
Write = Callable[..., Path]
TENANT = """\
tenant: acme
project: acme-analytics
location: EU
dataset: raw
landing: gs://acme-landing
"""
SOURCE = """\
source: shop_db
type: postgres
connection: shop_db
resources:
  orders:
    table: public.orders
    load: catalog
"""
