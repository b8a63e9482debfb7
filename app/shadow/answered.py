"""What has been answered, as it waits for another version's predictions and then for the payload log."""

from __future__ import annotations

from collections.abc import Iterator

from app.cores import give_way
from app.forest.kernel_forest import FloatMatrix
from app.line_sink import Piece
from app.shadow.roles import Roles
from app.wire.log_lines import Lines

# What the objects of a request take beside its bytes.
_OBJECT_BYTES = 512


class Answered:
    """
    Requests that were answered in the same roles.

    It has lists and no object for each request: those that wait would be looked through by Python's garbage collector
    again and again, and with them, every few thousand requests, all that the process has.

    Attributes
    ----------
    roles : Roles
    lines : Lines
        Of those that the payload log wants.
    n_lines : int
    is_wanted : list of bool
        Which those are.
    bodies : list of bytes
    matrices : list of numpy.ndarray of float32, shape (n_instances, n_features)
        As the version has read them that has answered.
    predictions : list of numpy.ndarray of float32, shape (n_instances,) or (n_instances, n_classes)
        What it has answered.
    n_rows : int
        The instances of all of them.
    """

    __slots__ = (
        "_n_own_bytes",
        "bodies",
        "is_wanted",
        "lines",
        "matrices",
        "n_lines",
        "n_rows",
        "predictions",
        "roles",
    )

    def __init__(self, roles: Roles, lines: Lines) -> None:
        self.roles = roles
        self.lines = lines
        self.n_lines = 0
        self.is_wanted: list[bool] = []
        self.bodies: list[bytes] = []
        self.matrices: list[FloatMatrix] = []
        self.predictions: list[FloatMatrix] = []
        self.n_rows = self._n_own_bytes = 0

    def add(self, body: bytes, matrix: FloatMatrix, predictions: FloatMatrix, *, is_wanted: bool) -> None:
        """Take one request; if it is wanted, its lines are among `lines`."""
        self.is_wanted.append(is_wanted)
        self.bodies.append(body)
        self.matrices.append(matrix)
        self.predictions.append(predictions)
        self.n_rows += len(matrix)
        self.n_lines += len(matrix) if is_wanted else 0
        kept = 0 if is_wanted else len(body)  # else by the lines too, which count it
        self._n_own_bytes += kept + matrix.nbytes + predictions.nbytes + _OBJECT_BYTES

    @property
    def n_bytes(self) -> int:
        """What they keep in memory, or about that."""
        return self.lines.n_bytes + self._n_own_bytes

    def make_lines(self, others: list[str | None] | None) -> Iterator[Piece]:
        """
        Make the lines of those that are wanted, of which there are some; after them, others may have the interpreter.

        Parameters
        ----------
        others : list of str or None, or None
            What the other version predicts of each request, as `Lines.tell` has it; None if it predicts none.
        """
        if others is not None:
            self.lines.tell([told for told, is_wanted in zip(others, self.is_wanted, strict=True) if is_wanted])
        yield from self.lines
        give_way()
