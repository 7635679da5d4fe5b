"""The application: its routes, its errors, its frame."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware.cors import CORSMiddleware

from processor.api import connection, explain, health, journeys, recalculation, rest
from processor.api.errors import answer_errors
from processor.api.frame import Frame
from processor.api.openapi import ABOUT, COMPONENTS
from processor.api.within import Within

TAGS = (
    {"name": "connection", "description": "Cursor pages, for clients that show long lists."},
    {"name": "REST", "description": "Lists, counts and single documents; journeys are written here."},
    {"name": "recalculation", "description": "Reading the statements again."},
    {"name": "explain", "description": "Why a statement counts, or why not."},
    {"name": "health", "description": "For orchestrators and scrapers; no credentials."},
)


class Application(FastAPI):
    """FastAPI with our OpenAPI document."""

    def openapi(self) -> dict[str, Any]:
        """Make the document once."""
        if not self.openapi_schema:
            document = get_openapi(
                title=self.title,
                version=self.version,
                description=ABOUT,
                routes=self.routes,
                tags=list(TAGS),
            )
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            schemas.update(COMPONENTS)
            for operations in document["paths"].values():
                for operation in operations.values():
                    operation["responses"].pop("422", None)
            self.openapi_schema = document
        return self.openapi_schema


def create_application(within: Within, origins: Sequence[str] = ()) -> Application:
    """Make the application; `origins` may call it from browsers, nobody else."""
    app = Application(
        title="journey-progress",
        version=version("journey-progress"),
        redoc_url=None,
        redirect_slashes=False,
        openapi_url="/openapi.json",
        docs_url="/docs",
    )
    app.state.within = within
    answer_errors(app)
    for room in (connection, rest, journeys, recalculation, explain, health):
        app.include_router(room.router)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
        )
    app.add_middleware(Frame, metrics=within.metrics)
    return app
