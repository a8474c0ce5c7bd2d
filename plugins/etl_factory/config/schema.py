"""The JSON Schema of tenant.yaml and of a source file, printed from the models, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Union

from pydantic import Field, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from etl_factory.config.models import Tenant
from etl_factory.sources import SOURCES


class _Schema(GenerateJsonSchema):
    """Draft 2020-12 with a marker that editors recognise."""

    def generate(self, schema: CoreSchema, mode: JsonSchemaMode = "validation") -> JsonSchemaValue:
        """Put the marker first."""
        return {"$schema": self.schema_dialect, **super().generate(schema, mode)}

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Refuse keys that do not match the pattern, as the models do."""
        made = super().dict_schema(schema)
        return {**made, "additionalProperties": False} if "patternProperties" in made else made


def schemas() -> dict[str, dict[str, Any]]:
    """Return both schemas by file name."""
    source: Any = Annotated[Union[tuple(s.spec for s in SOURCES)], Field(discriminator="type")]  # noqa: UP007 - a union of as many types as there are sources
    return {
        "tenant.schema.json": Tenant.model_json_schema(schema_generator=_Schema),
        "source.schema.json": TypeAdapter(source).json_schema(schema_generator=_Schema),
    }


def text(schema: dict[str, Any]) -> str:
    """Print a schema as it is kept in a file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write(folder: Path) -> None:
    """Write both schemas into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / name).write_text(text(schema), encoding="utf-8")
