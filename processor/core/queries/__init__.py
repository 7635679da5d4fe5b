"""What callers of the interfaces may ask of the stored documents: filters, sorts, projections, cursors (http.md).

All of it is JSON from a stranger. What comes out is plain values with nothing in them but what is known to be safe;
everything else is refused with `InvalidInput`, which names the parameter and the path.
"""

from processor.core.queries.cursors import Place, beyond, cursor_at, place_from
from processor.core.queries.filters import filter_from, rest_filter_from
from processor.core.queries.models import JOURNEY, MODELS, OWN, PROGRESS, Kind, Model
from processor.core.queries.pages import Page, Window, page_of
from processor.core.queries.projections import Projection, projection_from, selection_from
from processor.core.queries.query import Found, Query
from processor.core.queries.sorting import BY_ID, Sort, reverse, sort_from, sort_from_text

__all__ = [
    "BY_ID",
    "JOURNEY",
    "MODELS",
    "OWN",
    "PROGRESS",
    "Found",
    "Kind",
    "Model",
    "Page",
    "Place",
    "Projection",
    "Query",
    "Sort",
    "Window",
    "beyond",
    "cursor_at",
    "filter_from",
    "page_of",
    "place_from",
    "projection_from",
    "rest_filter_from",
    "reverse",
    "selection_from",
    "sort_from",
    "sort_from_text",
]
