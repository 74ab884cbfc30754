"""The grader's own exceptions: one line each, saying what, where, what was expected and what to do."""


class GraderError(Exception):
    """The base of everything the command line prints as one line and turns into exit code 2."""


class SubmissionError(GraderError):
    """The submission cannot be read as a notebook; nothing was run."""


class RubricError(GraderError):
    """`rubric.yaml` is wrong; nothing was run."""


class ExerciseError(GraderError):
    """An exercise's own package is wrong, for instance one of its checks; nothing was run."""


class DataError(GraderError):
    """MNIST could not be found, fetched or verified."""


class ClassifierError(GraderError):
    """The pretrained classifier's weights are missing or not the published ones."""


class BoxError(GraderError):
    """The box could not be built or started: our fault or the machine's, never the student's."""


class EvidenceError(GraderError):
    """Stored evidence is missing or not what this grader wrote; the notebook must be graded again."""
