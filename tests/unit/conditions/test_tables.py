"""Our conditions against the tables of examples."""

import pytest

from processor.core.conditions import compile_conditions
from tests.unit.conditions.tables import ROWS, Row


@pytest.mark.parametrize(("table", "row"), ROWS, ids=lambda part: str(part.query if isinstance(part, Row) else part))
def test_row(table: str, row: Row) -> None:
    conditions = compile_conditions(row.query)
    assert [document for document in row.matches if not conditions(document)] == []
    assert [document for document in row.misses if conditions(document)] == []
