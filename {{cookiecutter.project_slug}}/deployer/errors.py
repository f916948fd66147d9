"""The one exception that a person is meant to read."""


class DeployerError(Exception):
    """A person can mend this: one sentence for each problem, printed without a traceback.

    Args:
        problems: sentences that name the value, what is wrong with it and what to do.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
