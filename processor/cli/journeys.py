"""`journeys check|apply|list`."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
import yaml

from processor.cli.console import AsJson, Asked, object_id, print_json, print_table, run, settings_of
from processor.core.conditions import warnings_of
from processor.core.journey import InvalidJourney, JourneyRules, compile_journey
from processor.errors import InvalidInput
from processor.operating import apply_journeys, list_journeys
from processor.services.authoring import check_storable
from processor.settings import Settings
from schemas.journey import journey_document, journey_from, with_ids

app = typer.Typer(no_args_is_help=True, help="Journeys: what has to be done, waypoint by waypoint.")

Files = Annotated[
    list[Path], typer.Argument(help="YAML or JSON files: a journey, or a list of them.", exists=True, dir_okay=False)
]
Organisation = Annotated[
    str | None,
    typer.Option(help="Organisation of journeys that name none; by default DEFAULT_ORGANISATION.", metavar="ID"),
]


@app.command()
def check(context: typer.Context, files: Files, organisation: Organisation = None, as_json: AsJson = False) -> None:
    """Say for each journey whether it can run, what each waypoint is indexed by, and what looks wrong.

    Needs no server. Exit code 65 when a journey is refused.
    """
    journeys = journeys_in(files, organisation, settings_of(context, Asked.NONE))
    verdicts = [_verdict(path, document) for path, document in journeys]
    if as_json:
        print_json(verdicts)
    else:
        for verdict in verdicts:
            _print_verdict(verdict)
    if any(verdict["fault"] for verdict in verdicts):
        raise typer.Exit(InvalidInput.exit_code)


@app.command()
def apply(context: typer.Context, files: Files, organisation: Organisation = None, as_json: AsJson = False) -> None:
    """Check the journeys and save them; running processors take them up within seconds.

    All or nothing: one refused journey and none is saved. A journey without an `_id` gets one derived from its
    organisation and description, so that applying a file twice changes nothing. `version` grows when waypoints,
    sequence, repeat, trackBy or sources change.
    """
    settings = settings_of(context, Asked.MONGODB)
    journeys = journeys_in(files, organisation, settings)
    faults = [f"{path}: {fault}" for path, document in journeys if (fault := _verdict(path, document)["fault"])]
    if faults:
        raise InvalidInput("nothing was saved. " + "; ".join(faults))
    outcome = run(apply_journeys(settings, [document for _, document in journeys]))
    if as_json:
        print_json([{"journey": str(key), "outcome": word} for key, word in outcome.items()])
        return
    names = {document["_id"]: document.get("description", "") for _, document in journeys}
    print_table(["journey", "description", ""], [(key, names[key], word) for key, word in outcome.items()])


@app.command("list")
def list_(context: typer.Context, as_json: AsJson = False) -> None:
    """List the journeys in the database and whether each runs."""
    journeys = run(list_journeys(settings_of(context, Asked.MONGODB)))
    if as_json:
        print_json(journeys)
        return
    print_table(
        ["journey", "description", "version", "waypoints", "state"],
        [(j["journey"], j["description"], j["version"], j["waypoints"], j["state"]) for j in journeys],
    )


def journeys_in(
    files: Iterable[Path], organisation: str | None, settings: Settings
) -> list[tuple[Path, dict[str, Any]]]:
    """Read journeys, with every id in place; those without an organisation get this one, or the settings'.

    Raises `InvalidInput`.
    """
    found = [(path, document) for path in files for document in _documents(path)]
    if named := object_id(settings.default_organisation if organisation is None else organisation, "organisation"):
        found = [(path, {"organisation": named, **document}) for path, document in found]
    journeys = [(path, _identified(path, document)) for path, document in found]
    known: dict[Any, Path] = {}
    for path, document in journeys:
        if document["_id"] in known:
            name = str(document.get("description") or document["_id"])
            raise InvalidInput(
                f"{path} has a journey that {known[document['_id']]} has, too: {name[:80]!r}; leave one out, or give "
                "each an `_id` or a description of its own"
            )
        known[document["_id"]] = path
    return journeys


def _documents(path: Path) -> list[Mapping[str, Any]]:
    try:
        content = _content(path.read_bytes())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} is neither YAML nor JSON: {' '.join(str(error).split())}") from None
    documents = content if isinstance(content, list) else [content]
    for document in documents:
        if not isinstance(document, dict):
            raise InvalidInput(f"{path}: a journey is an object with `waypoints`, not {document!r:.60}")
    return documents


def _content(text: bytes) -> Any:
    """Read JSON or YAML. JSON is YAML but for tabs and surrogate pairs, so it is tried first."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        content = yaml.safe_load(text.decode())
    # YAML can say what nobody could store: half a character, or a document that contains itself.
    json.dumps(content, default=str, ensure_ascii=False, skipkeys=True).encode()
    return content


def _identified(path: Path, document: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return with_ids(document)
    except ValueError as error:
        raise InvalidInput(f"{path}: {error}") from None


def _verdict(path: Path, document: Mapping[str, Any]) -> dict[str, Any]:
    verdict = {"file": str(path), "journey": str(document["_id"]), "description": document.get("description", "")}
    try:
        rules = compile_journey(document)
        check_storable(journey_document(journey_from(document)))
    except (InvalidJourney, InvalidInput) as error:
        return {**verdict, "fault": str(error), "warnings": [], "waypoints": []}
    return {**verdict, "fault": None, "warnings": _warnings(rules), "waypoints": _waypoints(rules)}


def _warnings(rules: JourneyRules) -> list[str]:
    warnings = [
        f"waypoint {waypoint.id}: {warning}"
        for waypoint in rules.waypoints.values()
        for warning in warnings_of(waypoint.conditions)
    ]
    if not rules.is_active:
        warnings.append("the journey is not active: it processes no statements (set isActive: true)")
    elif not rules.active_waypoints:
        warnings.append("no waypoint is active: the journey can never be completed")
    return warnings


def _waypoints(rules: JourneyRules) -> list[dict[str, Any]]:
    return [
        {
            "waypoint": waypoint.id,
            "order": waypoint.order,
            "count": waypoint.count,
            "isActive": waypoint.is_active,
            "indexedBy": sorted({place.path for requirement in waypoint.conditions.required for place in requirement}),
        }
        for waypoint in sorted(rules.waypoints.values(), key=lambda waypoint: waypoint.order)
    ]


def _print_verdict(verdict: Mapping[str, Any]) -> None:
    name = f"{verdict['file']}: {verdict['description'] or verdict['journey']}"
    if verdict["fault"]:
        typer.secho(f"{name}: refused: {verdict['fault']}", fg=typer.colors.RED)
        return
    typer.secho(f"{name}: fine", fg=typer.colors.GREEN)
    for waypoint in verdict["waypoints"]:
        index = ", ".join(waypoint["indexedBy"]) or "nothing: it is evaluated for every statement"
        if not waypoint["isActive"]:
            index = "inactive: nothing counts towards it (it needs conditions, and no isActive: false)"
        typer.echo(f"  waypoint {waypoint['waypoint']} (order {waypoint['order']}, count {waypoint['count']}): {index}")
    for warning in verdict["warnings"]:
        typer.secho(f"  warning: {warning}", fg=typer.colors.YELLOW)
