"""`topics create`."""

import typer

from processor.cli.console import AsJson, Asked, print_json, print_table, run, settings_of
from processor.operating import create_all_topics

app = typer.Typer(no_args_is_help=True, help="The Kafka topics that the processor reads and writes.")


@app.command()
def create(context: typer.Context, as_json: AsJson = False) -> None:
    """Create the statements, progress and dead-letter topics where they are missing. Running it again is harmless."""
    topics = run(create_all_topics(settings_of(context, Asked.KAFKA)))
    if as_json:
        print_json([{"topic": topic, "created": created} for topic, created in topics.items()])
        return
    print_table(["topic", ""], [(topic, "created" if created else "was there") for topic, created in topics.items()])
