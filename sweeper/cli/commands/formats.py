"""The formats in which commands write their answers."""

from enum import StrEnum


class TableFormat(StrEnum):
    """The formats of `sweeper tables`."""

    table = "table"
    markdown = "markdown"
    latex = "latex"
    csv = "csv"
    json = "json"


class AuditFormat(StrEnum):
    """The formats of `sweeper audit`."""

    table = "table"
    markdown = "markdown"
    json = "json"


class ExportFormat(StrEnum):
    """The formats of `sweeper export`."""

    parquet = "parquet"
    csv = "csv"
    duckdb = "duckdb"
    huggingface = "huggingface"
    delta = "delta"
    mlflow = "mlflow"
    wandb = "wandb"


class RowFormat(StrEnum):
    """The formats of `sweeper sql`."""

    table = "table"
    markdown = "markdown"
    csv = "csv"
    json = "json"
    parquet = "parquet"
