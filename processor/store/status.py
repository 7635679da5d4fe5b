"""What a MongoDB server tells of itself."""

from pymongo.errors import OperationFailure

from processor.errors import Misfit
from processor.store.connect import Database
from processor.store.failures import translated


async def seconds_writing(database: Database) -> float | None:
    """Return the seconds that the server has spent on writes so far, everybody's; None when it does not tell us.

    Only a user with the role clusterMonitor may ask, and hosted clusters may not know the command.
    """
    try:
        with translated():
            status = await database.client.admin.command("serverStatus")
    except (Misfit, OperationFailure):
        return None
    writes = status.get("opLatencies", {}).get("writes")
    return writes["latency"] / 1e6 if writes else None
