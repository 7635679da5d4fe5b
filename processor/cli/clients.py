"""`clients create|list|revoke`."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import orjson
import typer
from bson import ObjectId

from processor.cli.console import AsJson, Asked, http_module, object_id, print_json, print_table, run, settings_of, warn
from processor.clock import SystemClock
from processor.errors import InvalidInput
from processor.operating import add_client, list_clients, revoke_client
from schemas.rendering import rendered

app = typer.Typer(no_args_is_help=True, help="Clients: who may call the HTTP interfaces.")


class Scope(StrEnum):
    """What a client may do."""

    ALL = "all"
    READ = "all/read"


@app.command()
def create(
    context: typer.Context,
    title: Annotated[str, typer.Argument(help="What the client is, for people.")],
    organisation: Annotated[
        str | None,
        typer.Option(help="The organisation it is confined to; by default DEFAULT_ORGANISATION.", metavar="ID"),
    ] = None,
    scope: Annotated[Scope, typer.Option(help="`all` reads and writes, `all/read` reads.")] = Scope.READ,
    as_json: AsJson = False,
) -> None:
    """Make a client and print its key and secret. The secret is shown this once: only its hash is kept."""
    settings = settings_of(context, Asked.MONGODB)
    secrets = http_module("secrets")
    key, secret = secrets.new_secret(), secrets.new_secret()
    owner = object_id(settings.default_organisation if organisation is None else organisation, "organisation")
    if owner is None:
        raise typer.BadParameter("give one, or set DEFAULT_ORGANISATION", param_hint="--organisation")
    client = _document(title, owner, scope, key, secrets.hashed(secret))
    run(add_client(settings, client))
    if as_json:
        print_json({"client": str(client["_id"]), "key": key, "secret": secret})
        return
    print_table(["client", "key", "secret"], [(client["_id"], key, secret)])
    warn("The secret is not kept and cannot be shown again.")


@app.command("list")
def list_(context: typer.Context, as_json: AsJson = False) -> None:
    """List the clients, Learning Locker's own too."""
    clients = [_row(client) for client in run(list_clients(settings_of(context, Asked.MONGODB)))]
    if as_json:
        print_json(clients)
        return
    headers = ["client", "title", "organisation", "scopes", "key", "state"]
    print_table(headers, [tuple(row.values()) for row in clients])


@app.command()
def revoke(context: typer.Context, key: Annotated[str, typer.Argument(help="The client's key.")]) -> None:
    """Trust a client no more: its next request is refused. It stays in the list."""
    if not run(revoke_client(settings_of(context, Asked.MONGODB), key)):
        raise InvalidInput(f"there is no client with the key {key!r:.60}")
    typer.echo("revoked")


def _document(title: str, organisation: ObjectId, scope: Scope, key: str, secret_hash: str) -> dict[str, Any]:
    """A client as Learning Locker's are (learning-locker-behaviour.md, 7.1)."""
    now = SystemClock().now()
    authority = {"objectType": "Agent", "name": title, "mbox": "mailto:hello@learninglocker.net"}
    return {
        "_id": ObjectId(),
        "title": title,
        "api": {"basic_key": key, "basic_secret": secret_hash},
        "authority": orjson.dumps(authority).decode(),
        "isTrusted": True,
        "organisation": organisation,
        "scopes": [str(scope)],
        "createdAt": now,
        "updatedAt": now,
    }


def _row(client: Mapping[str, Any]) -> dict[str, str]:
    scopes, api = client.get("scopes"), client.get("api")
    return {
        "client": str(client["_id"]),
        "title": str(client.get("title", "")),
        "organisation": str(rendered(client.get("organisation", ""))),
        "scopes": " ".join(map(str, scopes)) if isinstance(scopes, list) else "",
        "key": str(api.get("basic_key") or "") if isinstance(api, dict) else "",
        "state": "trusted" if client.get("isTrusted") is True else "revoked",
    }
