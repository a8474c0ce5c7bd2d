"""What the specs of every source type and every loading strategy are made of: pure data, no SDK, no pyarrow."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from etl_factory.sources._masks import ColumnText, Mask, PolicyTag
from etl_factory.sources.words import PERCENT_PATTERN, Column, Count, Duration, Ratio, refuse

BigQueryType = Literal[
    "STRING", "BYTES", "INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC", "BOOL",
    "DATE", "DATETIME", "TIME", "TIMESTAMP", "JSON", "GEOGRAPHY", "INTERVAL",
]  # fmt: skip
# A bare null of YAML is meant as the word.
Unrepresentable = Annotated[
    Literal["quarantine", "null", "text"],
    BeforeValidator(lambda value: "null" if value is None else value),
    WithJsonSchema({"enum": ["quarantine", "null", "text", None]}),
]
ContractMode = Literal["evolve", "freeze", "discard_row", "discard_value"]


class Spec(BaseModel):
    """What YAML says: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BadRows(Spec):
    """How many rows may be quarantined before the run fails: a count, a ratio of the rows read, or both."""

    rows: Count | None = None
    ratio: Ratio | None = None

    def allows(self, quarantined: int, read: int) -> bool:
        """Tell whether `quarantined` of `read` rows stays within every limit that is set."""
        by_rows = self.rows is None or quarantined <= self.rows
        # A ratio is a decimal that a person wrote: 29% of 100 rows is 29, not 28.999999999999996.
        return by_rows and (self.ratio is None or quarantined <= round(self.ratio * read, 6))

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Allow the short forms in the JSON Schema too."""
        percentage = {"type": "string", "pattern": PERCENT_PATTERN}
        return {"anyOf": [{"type": "integer", "minimum": 0}, percentage, {"type": "number"}, handler(core)]}

    @model_validator(mode="before")
    @classmethod
    def _from_scalar(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return {"rows": value}
        return {"ratio": value} if isinstance(value, str | float) else value


class Columns(Spec):
    """Which columns are read, how they are called, typed, hidden and described; keys are the source's own names."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    rename: dict[str, Column] = Field(default_factory=dict)
    types: dict[str, BigQueryType] = Field(default_factory=dict)
    on_unrepresentable: dict[str, Unrepresentable] = Field(default_factory=dict)
    mask: dict[str, Mask] = Field(default_factory=dict)
    description: dict[str, ColumnText] = Field(default_factory=dict)
    policy_tags: dict[str, PolicyTag] = Field(default_factory=dict)

    @property
    def hides_values(self) -> bool:
        """Whether some of what the source holds must not be written anywhere."""
        return bool(self.include or self.exclude or self.mask)

    @model_validator(mode="after")
    def _one_of(self) -> Columns:
        if self.include and self.exclude:
            raise ValueError("give include or exclude, not both")
        return self


class SchemaContract(Spec):
    """What happens when the data's schema differs from the published table's."""

    tables: ContractMode = "evolve"
    columns: ContractMode = "evolve"
    types: ContractMode = "evolve"


class TaskSettings(Spec):
    """How Airflow runs a task; None leaves it to the source, the tenant, and at last the built-in value."""

    retries: Annotated[int, Field(ge=0, le=20, strict=True)] | None = None
    retry_delay: Duration | None = None
    execution_timeout: Duration | None = None


class ResourceSpec(TaskSettings):
    """What any resource says of its destination, whatever its source.

    `target_table` is the published table's name; by default `<source>__<resource>`.
    """

    is_incremental: ClassVar[bool]

    description: str = ""
    target_table: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9_]{0,299}$")
    primary_key: tuple[Column, ...] = ()
    columns: Columns = Field(default_factory=Columns)
    schema_contract: SchemaContract = Field(default_factory=SchemaContract)
    partition_by: Column | None = None
    cluster_by: tuple[Column, ...] = Field(default=(), max_length=4)
    max_bad_rows: BadRows = Field(default_factory=lambda: BadRows(rows=0))
    on_unrepresentable: Unrepresentable = "quarantine"

    def needed_columns(self) -> dict[str, str]:
        """Return the source columns that the load itself needs, with the key that names each."""
        return {column: "primary_key" for column in self.primary_key}

    @model_validator(mode="after")
    def _keeps_needed_columns(self) -> ResourceSpec:
        chosen = self.columns
        problems: dict[tuple[str, ...], str] = {}
        for column, key in self.needed_columns().items():
            if column in chosen.exclude:
                problems[("columns", "exclude")] = f"{column!r} is the {key}: it cannot be excluded"
            elif chosen.include and column not in chosen.include:
                problems[("columns", "include")] = f"{column!r} is the {key}: include it too"
            elif chosen.on_unrepresentable.get(column, "quarantine") != "quarantine":
                problems[("columns", "on_unrepresentable", column)] = (
                    f"{column!r} is the {key}, which tells rows apart or in time: its rows can only be quarantined"
                )
        if problems:
            refuse(problems)
        return self
