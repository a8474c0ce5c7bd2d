"""What YAML says of a file's format."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from etl_factory.sources._spec import Spec
from etl_factory.sources.words import Count


def _known_encoding(value: str) -> str:
    try:
        "".encode(value)
    except LookupError as error:
        raise ValueError(
            f"unknown encoding {value!r}: use a name such as utf-8, windows-1250, latin-1"
        ) from error
    return value


class Compressed(Spec):
    """A text format whose files may be compressed; `auto` goes by the file's first bytes."""

    compression: Literal["auto", "none", "gzip", "bz2", "zstd"] = "auto"
    encoding: Annotated[str, AfterValidator(_known_encoding)] = "utf-8"


class CsvFormat(Compressed):
    """Delimited text (RFC 4180 and its relatives)."""

    type: Literal["csv"]
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', max_length=1)
    escape: str = Field(default="", max_length=1)
    header: bool = True
    column_names: tuple[str, ...] = ()
    skip_rows: Count = 0
    null_values: tuple[str, ...] = ("",)

    @model_validator(mode="after")
    def _distinct_marks(self) -> CsvFormat:
        marks = [mark for mark in (self.delimiter, self.quote, self.escape) if mark]
        if len({*marks, "\n", "\r"}) < len(marks) + 2:
            raise ValueError("delimiter, quote and escape must differ, and none may be a line break")
        return self


class JsonText(Compressed):
    """JSON; `nested` says whether objects and lists in a record become RECORD and REPEATED columns, or JSON."""

    nested: Literal["json", "record"] = "json"


class JsonLinesFormat(JsonText):
    """One JSON object per line."""

    type: Literal["jsonl"]


class JsonFormat(JsonText):
    """JSON objects, in one array or one after the other."""

    type: Literal["json"]


class ParquetFormat(Spec):
    """Apache Parquet."""

    type: Literal["parquet"]


FormatSpec = Annotated[CsvFormat | JsonLinesFormat | JsonFormat | ParquetFormat, Field(discriminator="type")]


class _OrName:
    """Lets a format be its bare name, in YAML and in the JSON Schema."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.expand, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [{"enum": ["csv", "jsonl", "json", "parquet"]}, handler(core)]}

    @staticmethod
    def expand(value: Any) -> Any:
        return {"type": value} if isinstance(value, str) else value


Format = Annotated[FormatSpec, _OrName()]
