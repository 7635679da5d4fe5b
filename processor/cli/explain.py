"""`explain`: why a statement counts towards the waypoints of a journey, or why not."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from bson import ObjectId

from processor.cli.console import AsJson, Asked, Branch, print_json, print_tree, run, settings_of
from processor.cli.journeys import Organisation, journeys_in
from processor.clock import SystemClock
from processor.core.conditions import Finding
from processor.core.decode import Tenancy, decode
from processor.core.explain import Explaining, Explanation, Place, Standing, WaypointExplanation, progress_ids
from processor.core.explain import explain as explained
from processor.core.explained import render_explanation
from processor.core.fold import Outcome
from processor.core.journey import InvalidJourney, JourneyRules, compile_journey
from processor.core.records import Record, Rejected, StatementRecord
from processor.errors import InvalidInput
from processor.operating import find_journey, find_progress
from processor.policies import folding_policy, ingest_policy
from processor.settings import Settings
from schemas.rendering import rendered

SHOWN = 100
"""Characters of a value on a terminal; `--json` shows all."""


def explain(
    context: typer.Context,
    journey: Annotated[str, typer.Option(help="Id of a journey in the database, or a YAML or JSON file of one.")],
    statement: Annotated[
        typer.FileBinaryRead, typer.Option(help="File of one statement or statement document; - is stdin.")
    ],
    organisation: Organisation = None,
    with_progress: Annotated[
        bool, typer.Option("--with-progress", help="Look at the progress documents for a journey in a file, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say of each waypoint whether a statement counts, clause by clause: what was asked, found, and the verdict.

    For a journey in the database also where the statement stands in the learner's progress: pending, counted, kept as
    surplus, and why. For a journey in a file no server is asked. A bare statement is taken for one of the journey's
    organisation.
    """
    is_file = Path(journey).is_file()
    if not is_file and not ObjectId.is_valid(journey):
        raise InvalidInput(f"journey {journey!r} is neither a file nor an id of 24 hex digits")
    is_offline = is_file and not with_progress
    settings = settings_of(context, Asked.NONE if is_offline else Asked.MONGODB)
    rules = _rules(_from_file(journey, organisation, settings) if is_file else _from_database(settings, journey))
    record = _record(statement.read(), settings, rules)
    progresses = {} if is_offline else _progresses(settings, rules, record)
    by = Explaining(SystemClock().now(), ingest_policy(settings).identification, folding_policy(settings), progresses)
    explanation = explained(rules, record, by)
    if as_json:
        print_json(render_explanation(explanation))
    else:
        print_tree(_tree(explanation))


def _from_file(path: str, organisation: str | None, settings: Settings) -> Mapping[str, Any]:
    found = journeys_in([Path(path)], organisation, settings)
    if len(found) != 1:
        raise InvalidInput(f"{path} holds {len(found)} journeys; explain takes a file of one")
    return found[0][1]


def _from_database(settings: Settings, journey: str) -> Mapping[str, Any]:
    document = run(find_journey(settings, ObjectId(journey)))
    if document is None:
        raise InvalidInput(f"there is no journey {journey} (journey-progress journeys list)")
    return document


def _rules(document: Mapping[str, Any]) -> JourneyRules:
    try:
        return compile_journey(document)
    except InvalidJourney as error:
        raise InvalidInput(f"the journey cannot run: {error}") from None


def _record(value: bytes, settings: Settings, rules: JourneyRules) -> StatementRecord:
    """Decode as ingest does."""
    milliseconds = int(SystemClock().now().timestamp() * 1000)
    tenancy = Tenancy(rules.organisation, ingest_policy(settings).tenancy.store)
    decoded = decode(Record("", 0, 0, milliseconds, value), tenancy)
    if len(decoded) != 1:
        raise InvalidInput(f"--statement holds {len(decoded)} statements; explain takes one")
    if isinstance(decoded[0], Rejected):
        raise InvalidInput(f"the statement would be parked as {decoded[0].reason}: {decoded[0].message}")
    return decoded[0]


def _progresses(settings: Settings, rules: JourneyRules, record: StatementRecord) -> dict[ObjectId, Mapping[str, Any]]:
    found = [
        document
        for key in progress_ids(rules, record, ingest_policy(settings).identification)
        for document in run(find_progress(settings, identity=key, organisation=rules.organisation))
    ]
    return {document["_id"]: document for document in found}


def _tree(explanation: Explanation) -> Branch:
    rules, record = explanation.rules, explanation.record
    fault = [Branch(f"the statement is not valid xAPI: {explanation.fault}", "red")] if explanation.fault else []
    return Branch(
        f"journey {rules.id} {rules.description!r} (version {rules.version}), "
        f"statement {record.reference} of {rendered(record.timestamp)}",
        "bold",
        [*fault, *map(_waypoint, explanation.waypoints)],
    )


def _waypoint(found: WaypointExplanation) -> Branch:
    waypoint = found.waypoint
    name = f"waypoint {waypoint.id} (order {waypoint.order}, count {waypoint.count})"
    verdict = f"no evidence: {', '.join(found.obstacles)}" if found.obstacles else "evidence"
    standings = [line for standing in found.standings for line in _standing(standing)]
    return Branch(
        f"{name}: {verdict}", "yellow" if found.obstacles else "green", [*map(_clause, found.findings), *standings]
    )


def _clause(finding: Finding) -> Branch:
    mark, style = ("✓", "green") if finding.verdict else ("✗", "red")
    if finding.path is None:
        return Branch(f"{mark} {finding.operator}", style, list(map(_clause, finding.parts)))
    values = ", ".join(map(_value, finding.found)) or "nothing"
    return Branch(f"{mark} {finding.path} {finding.operator} {_value(finding.asked)}: found {values}", style)


def _standing(standing: Standing) -> Iterator[Branch]:
    outcome = _outcome(standing)
    if outcome is None:
        return
    if standing.is_new:
        line = f"as this owner's first evidence it {outcome}"
    elif standing.place is Place.NOWHERE:
        line = f"not in progress {standing.progress} yet; with it there it {outcome}"
    else:
        line = f"{standing.place} in progress {standing.progress}; it {outcome}"
    yield Branch(line, "green" if standing.outcome is Outcome.COUNTED else "yellow")


def _outcome(standing: Standing) -> str | None:
    if standing.outcome is Outcome.COUNTED and standing.attempt is not None:
        return f"counts in attempt {standing.attempt + 1}"
    if standing.outcome is not None:
        return f"does not count: {standing.outcome}"
    return None if standing.place is Place.NOWHERE else "waits: the journey is not running"


def _value(value: Any) -> str:
    text = orjson.dumps(rendered(value), default=str).decode()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
