"""What lines of the payload log look like: where a feature's values stand, what is hidden, how long a line may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from app.signature import FeatureType, Signature


class Field(IntEnum):
    """Where a feature's values stand; as `Field` in ``codec/codec.h``."""

    NUMBER = 0  # `treeserve.features.number`
    CATEGORY = 1  # `treeserve.features.category`
    OTHER = 2  # `treeserve.features.other`, which Elasticsearch keeps as one field however many there are
    NOWHERE = 3


class Redaction(StrEnum):
    """What becomes of a feature's values in the log."""

    DROP = "drop"
    HASH = "hash"


@dataclass(frozen=True)
class LineRules:
    """
    The operator's word on all lines.

    Attributes
    ----------
    n_typed : int
        How many features have a field of their own.
    max_line : int
        Bytes; a longer line is divided among several. 0 for no limit.
    redactions : mapping of str to Redaction
        By feature.
    key : bytes
        Of the hashes, at most 32 bytes.
    """

    n_typed: int = 200
    max_line: int = 0
    redactions: Mapping[str, Redaction] = field(default_factory=dict)
    key: bytes = b""


@dataclass(frozen=True)
class LineFormat:
    """
    What the lines of one model version look like, in one role.

    Attributes
    ----------
    signature : Signature
    common : str
        What all lines have, as members of a JSON object.
    before_other : str
        What comes before another version's prediction, its key included; empty where there is none.
    fields : tuple of Field
        Of each feature.
    hashed : tuple of bool
        Of each feature, whether a keyed hash stands for its values.
    key : bytes
    max_line : int
    """

    signature: Signature
    common: str
    before_other: str
    fields: tuple[Field, ...]
    hashed: tuple[bool, ...]
    key: bytes
    max_line: int

    @classmethod
    def of(
        cls, signature: Signature, rules: LineRules, common: str, before_other: str = "", first: Sequence[str] = ()
    ) -> LineFormat:
        """
        Apply the rules to a signature.

        Parameters
        ----------
        first : sequence of str
            The features that come first where not all can have a field of their own; then the signature's order.
        """
        redactions = [rules.redactions.get(feature.name) for feature in signature.features]
        return cls(
            signature,
            common,
            before_other,
            _place(signature, redactions, rules.n_typed, first),
            tuple(redaction is Redaction.HASH for redaction in redactions),
            rules.key,
            rules.max_line,
        )


def _place(
    signature: Signature, redactions: Sequence[Redaction | None], n_typed: int, first: Sequence[str]
) -> tuple[Field, ...]:
    rank = {name: place for place, name in enumerate(first)}
    shown = [column for column, redaction in enumerate(redactions) if redaction is not Redaction.DROP]
    shown.sort(key=lambda column: rank.get(signature.features[column].name, len(rank)))  # others stay in their order
    # Elasticsearch refuses the whole line if a field's name is blank.
    typed = [column for column in shown if signature.features[column].name.strip()][:n_typed]
    fields = [Field.NOWHERE] * signature.n_features
    for column in shown:
        fields[column] = Field.OTHER
    for column in typed:
        is_text = redactions[column] is Redaction.HASH or signature.features[column].type is FeatureType.CATEGORY
        fields[column] = Field.CATEGORY if is_text else Field.NUMBER
    return tuple(fields)
