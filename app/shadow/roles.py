"""Who answers a request, and who predicts it in shadow: champion and challenger, or a canary's the other way round."""

from __future__ import annotations

import hashlib
import logging
import math

from app.artifacts import UnknownCategoryPolicy
from app.errors import ServingError
from app.model_version import Role
from app.observed.observations import Observations
from app.observed.profile import ObservedProfile
from app.predictor import Predictor
from app.shadow.comparison import Comparison
from app.wire.line_format import LineFormat, LineRules
from app.wire.log_lines import LineMaker, members_before_other

log = logging.getLogger(__name__)

_DIGEST_BYTES = 4
_N_DIGESTS = 1 << 8 * _DIGEST_BYTES


class Roles:
    """
    One way to share the work on a request out between two model versions.

    Attributes
    ----------
    predictor : Predictor
        Who answers.
    counted_as : tuple of str
        Its role and version, as the labels of `Metrics.answered_rows`.
    observed : ObservedProfile or None
        Where it is counted what is asked and answered.
    other : Predictor or None
        Who predicts the same in shadow, if anyone does.
    other_unknown_is_missing : bool
        Whether an unknown category is a missing value to `other`.
    compared_as : tuple of str
        The versions of champion and challenger, as the labels of `Metrics.disagreement`.
    reads_alike : bool
        Whether `other` makes the same matrix of every body.
    lines : LineMaker
        Makes the lines of the payload log.
    comparison : Comparison or None
        How the two predictions are compared; None where they cannot be.
    """

    __slots__ = (
        "_has_told",
        "compared_as",
        "comparison",
        "counted_as",
        "lines",
        "observed",
        "other",
        "other_unknown_is_missing",
        "predictor",
        "reads_alike",
    )

    def __init__(
        self,
        role: Role,
        predictor: Predictor,
        other: Predictor | None,
        policy: UnknownCategoryPolicy | None,
        rules: LineRules,
        observed: ObservedProfile | None,
    ) -> None:
        self.predictor = predictor
        self.observed = observed
        self.counted_as = (str(role), predictor.version.version)
        self.other = other
        self._has_told = False
        self.comparison: Comparison | None = None
        self.compared_as: tuple[str, ...]
        if other is None:
            self.reads_alike, self.other_unknown_is_missing = False, False
            self.compared_as = ()
            self.lines = _make_lines(predictor, "", rules)
            return
        champion, challenger = (predictor, other) if role is Role.CHAMPION else (other, predictor)
        self.compared_as = (champion.version.version, challenger.version.version)
        others_role = Role.CHALLENGER if role is Role.CHAMPION else Role.CHAMPION
        self.lines = _make_lines(predictor, members_before_other(others_role, other.version), rules)
        self.other_unknown_is_missing = other.unknown_is_missing(policy)
        self.reads_alike = (
            predictor.signature == other.signature
            and predictor.unknown_is_missing(policy) == self.other_unknown_is_missing
        )
        self.comparison = Comparison.of(predictor, other)

    def tell(self, what: str, error: Exception) -> None:
        """Log that one of the two has failed where the other has not; the first time only, for the rest is counted."""
        if self._has_told:
            return
        self._has_told = True
        if isinstance(error, ServingError):
            reason = f"{error.faults[0].code} at {error.faults[0].pointer}" if error.faults else error.detail
            log.warning("%s: %s; more of these are only counted", what, reason)
        else:
            log.warning("%s; more of these are only counted", what, exc_info=error)


class Cast:
    """
    A champion and perhaps a challenger, and which of them answers whom; never changed.

    Attributes
    ----------
    champion : Predictor
    challenger : Predictor or None
    usual : Roles
        The champion answers.
    canary : Roles or None
        The challenger answers; None if it answers nobody.
    """

    def __init__(
        self,
        champion: Predictor,
        challenger: Predictor | None,
        share: float = 0.0,
        policy: UnknownCategoryPolicy | None = None,
        rules: LineRules | None = None,
        observations: Observations | None = None,
    ) -> None:
        """
        Make a cast.

        Parameters
        ----------
        share : float
            Of the callers' keys, how many the challenger answers, 0 to 1.
        policy : {"reject", "missing"} or None
            The operator's word on unknown categories.
        rules : LineRules or None
            The operator's word on the payload log's lines.
        observations : Observations or None
            Where to count what is asked and answered; None for nowhere.
        """
        self.champion = champion
        self.challenger = challenger
        if challenger is not None and challenger.version.is_same_model(champion.version):
            log.info("champion and challenger are both %s: there is nothing to compare", champion.version)
            challenger = None  # it has been promoted
        rules = rules or LineRules()
        for predictor in filter(None, (champion, challenger)):
            if strangers := rules.redactions.keys() - {feature.name for feature in predictor.signature.features}:
                shown = ", ".join(map(repr, sorted(strangers)))
                log.warning("%s has no features %s, which TREESERVE_PAYLOAD_REDACT names", predictor.version, shown)
        answering = [champion, challenger] if challenger is not None and share > 0 else [champion]
        observed: list[ObservedProfile | None] = [None] * len(answering)
        if observations is not None:
            observations.keep(answering)
            observed = [observations.of(predictor) for predictor in answering]
        self.usual = Roles(Role.CHAMPION, champion, challenger, policy, rules, observed[0])
        self.canary = None
        if challenger is not None and share > 0:
            self.canary = Roles(Role.CHALLENGER, challenger, champion, policy, rules, observed[1])
        self._first_usual = math.ceil(share * _N_DIGESTS)

    def choose(self, key: str) -> Roles:
        """
        Who answers the caller with this key.

        It is the same in every process; a larger share only adds keys.

        Parameters
        ----------
        key : str
            Printable ASCII.
        """
        if self.canary is not None and _digest(key) < self._first_usual:
            return self.canary
        return self.usual


def _make_lines(predictor: Predictor, before_other: str, rules: LineRules) -> LineMaker:
    # What drifts is what is looked at.
    first = [feature.name for feature in predictor.profile.features] if predictor.profile else []
    format_ = LineFormat.of(predictor.signature, rules, predictor.log_members, before_other, first)
    return predictor.decoder.line_maker(format_)


def _digest(key: str) -> int:
    """
    A number of 32 bits.

    Not the checksum by which the payload log samples request ids: of those that are recorded, too many or none would be
    canaries, for with a salt before them the checksums of texts of one length all differ by the same bits.
    """
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=_DIGEST_BYTES).digest(), "big")
