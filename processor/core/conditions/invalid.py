"""Why conditions are refused."""


class InvalidConditions(ValueError):
    """Conditions that we do not run: `path` (a JSON path such as `$.$and[0].verb`) says where, `reason` why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason
