"""Lines that services have logged, from Elasticsearch, and outcomes into it."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from elasticsearch import ApiError, Elasticsearch, ElasticsearchWarning, TransportError
from elasticsearch.helpers import ScanError, scan

from app.ecs import FEEDBACK_DATASET, PREDICTION_DATASET
from app.observed.bins import PROFILE_DATASET
from model.errors import LogUnreadable
from model.observed.outcomes import OUTCOME_DATASET, Key, key_of, times_of
from model.observed.period import Period

# A data stream a dataset, as `monitoring/` sets them up.
_NAMESPACE = "default"
# Elasticsearch takes no more than some thousand clauses in one question; so many answers are one page.
_KEYS_A_QUESTION, _PAGE = 500, 5_000
# Another run may write the same outcomes; what it has written is looked at then.
_N_ATTEMPTS = 5
_CONFLICT = 409
_PATIENCE_S = 60
# Which line of a request, for Elasticsearch keeps no order.
_PLACE = (("http.request.id", ""), ("treeserve.request.instance", 0), ("treeserve.part", 0))
_SAID = ("treeserve.outcome", "treeserve.prediction", "treeserve.model.version")
_PROFILE_FIELDS = (
    "treeserve.model.name",
    "treeserve.model.version",
    "treeserve.profile.kind",
    "treeserve.profile.name",
    "treeserve.profile.bin",
)


class LogIndex:
    """
    The data streams of one Elasticsearch.

    Attributes
    ----------
    url : str
    """

    def __init__(self, url: str) -> None:
        """
        Connect when asked something.

        ``ELASTICSEARCH_API_KEY`` (``id:key``), or ``ELASTICSEARCH_USERNAME`` and ``ELASTICSEARCH_PASSWORD``, say as
        whom, and ``ELASTICSEARCH_CA_CERT`` is a file.

        Raises
        ------
        LogUnreadable
            If it is no URL.
        """
        warnings.simplefilter("ignore", ElasticsearchWarning)  # what its operator should do better
        self.url = url
        key, user, password, authority = (
            os.environ.get(f"ELASTICSEARCH_{name}", "") for name in ("API_KEY", "USERNAME", "PASSWORD", "CA_CERT")
        )
        more: dict[str, Any] = {"ca_certs": authority} if authority else {}
        if key:
            id_, _, secret = key.partition(":")
            more["api_key"] = (id_, secret) if secret else key
        elif user:
            more["basic_auth"] = (user, password)
        try:
            self._client = Elasticsearch(
                url,
                **more,
                request_timeout=_PATIENCE_S,
                retry_on_timeout=True,
            )
        except (ValueError, OSError) as error:
            raise LogUnreadable(f"{url} cannot be asked: {error}") from None

    def profile_lines(self, period: Period) -> Iterator[Mapping[str, Any]]:
        """What all processes have counted, added up by version and bin: one line for each, as if of one process."""
        sources = [{name: {"terms": {"field": name}}} for name in _PROFILE_FIELDS]
        sums = {"count": {"sum": {"field": "treeserve.profile.count"}}}
        shares = {"reference": {"max": {"field": "treeserve.profile.reference"}}}
        last: dict[str, Any] = {}
        while True:
            composite = {"size": _PAGE, "sources": sources, **last}
            aggregations = {"bins": {"composite": composite, "aggs": sums | shares}}
            with self._asking():
                answer = self._client.search(
                    index=_stream(PROFILE_DATASET),
                    ignore_unavailable=True,
                    size=0,
                    query=_during(period),
                    aggregations=aggregations,
                )
            found = answer.get("aggregations", {}).get("bins", {"buckets": []})  # none without a data stream
            for bucket in found["buckets"]:
                yield {
                    **bucket["key"],
                    "treeserve.profile.count": bucket["count"]["value"],
                    "treeserve.profile.reference": bucket["reference"]["value"],
                }
            if "after_key" not in found:
                return
            last = {"after": found["after_key"]}

    def feedback_lines(self, period: Period) -> Iterator[Mapping[str, Any]]:
        """The outcomes that came in a period."""
        yield from self._scan(FEEDBACK_DATASET, _during(period))

    def lines_with(self, dataset: str, fields: Collection[str], values: Collection[str]) -> Iterator[Mapping[str, Any]]:
        """The lines that have one of some values in one of some fields, by their times and places."""
        wanted = [{"terms": {field: list(values)}} for field in fields]
        found = self._scan(dataset, {"bool": {"should": wanted, "minimum_should_match": 1}})
        yield from sorted(found, key=lambda line: (line["@timestamp"], *(line.get(*of) for of in _PLACE)))

    def prediction_lines(self, keys: Collection[Key]) -> Iterator[Mapping[str, Any]]:
        """The predictions of some instances, whenever they were asked."""
        ordered = sorted(keys)
        for start in range(0, len(ordered), _KEYS_A_QUESTION):
            requests = groupby(ordered[start : start + _KEYS_A_QUESTION], key=lambda key: key.request_id)
            wanted = [
                _all_of(
                    {"term": {"http.request.id": request_id}},
                    {"terms": {"treeserve.request.instance": [key.instance for key in of_request]}},
                )
                for request_id, of_request in requests
            ]
            # Of an instance with several lines, the first has the prediction.
            is_first = {"exists": {"field": "treeserve.prediction"}}
            yield from self._scan(PREDICTION_DATASET, _all_of(is_first, {"bool": {"should": wanted}}))

    def write_outcomes(self, lines: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
        """
        Write outcomes that are not there yet, and those that say something else than what is there and hold against it.

        Parameters
        ----------
        lines : sequence of mapping
            Of the dataset `treeserve.outcome`, one an instance.

        Returns
        -------
        n_new, n_changed : int

        Raises
        ------
        LogUnreadable
            If Elasticsearch does not take one; those before it are written.
        """
        n_new = n_changed = 0
        for start in range(0, len(lines), _KEYS_A_QUESTION):
            waiting = {_id_of(key_of(line)): line for line in lines[start : start + _KEYS_A_QUESTION]}
            for _ in range(_N_ATTEMPTS):
                known = self._find_outcomes(waiting)
                new = [_creation(id_) for id_ in waiting.keys() - known.keys()]
                changed = [_change(hit) for id_, hit in known.items() if _holds(waiting[id_], hit["_source"])]
                conflicts = self._write([*new, *changed], waiting)
                n_new += len(new) - len(conflicts - known.keys())
                n_changed += len(changed) - len(conflicts & known.keys())
                waiting = {id_: waiting[id_] for id_ in conflicts}
                if not waiting:
                    break
            else:
                raise LogUnreadable(f"others change the same outcomes in {self.url} without pause; try it later")
        return n_new, n_changed

    def _find_outcomes(self, ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
        """Those of some that are there, whichever index behind the data stream has them."""
        with self._asking():
            self._client.indices.refresh(index=_stream(OUTCOME_DATASET), ignore_unavailable=True)
            found = self._client.search(
                index=_stream(OUTCOME_DATASET),
                ignore_unavailable=True,
                query={"ids": {"values": list(ids)}},
                size=len(ids),
                seq_no_primary_term=True,
            )
        return {hit["_id"]: hit for hit in found["hits"]["hits"]}

    def _write(self, actions: Sequence[dict[str, dict[str, Any]]], lines: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """Write lines; the ids of those that somebody else has written meanwhile."""
        if not actions:
            return set()
        operations = [part for action in actions for part in (action, lines[next(iter(action.values()))["_id"]])]
        with self._asking():
            answer = self._client.bulk(operations=operations)
        conflicts = set()
        for item in answer["items"]:
            (result,) = item.values()
            if result["status"] == _CONFLICT:
                conflicts.add(result["_id"])
            elif "error" in result:
                raise LogUnreadable(f"{self.url} does not take an outcome: {result['error'].get('reason')}")
        return conflicts

    def _scan(self, dataset: str, query: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        with self._asking():
            for hit in scan(
                self._client, index=_stream(dataset), query={"query": query}, size=_PAGE, ignore_unavailable=True
            ):
                yield hit["_source"]

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except ApiError as error:
            hint = "; set ELASTICSEARCH_API_KEY, or ELASTICSEARCH_USERNAME and ELASTICSEARCH_PASSWORD"
            told = f"{error}{hint if error.status_code in (401, 403) else ''}"
            raise LogUnreadable(f"{self.url} refuses what it is asked: {told}") from None
        except (ScanError, TransportError) as error:
            raise LogUnreadable(f"{self.url} does not answer: {error}") from None


def _stream(dataset: str) -> str:
    return f"logs-{dataset}-{_NAMESPACE}"


def _during(period: Period) -> dict[str, Any]:
    ends = {"gte": period.since, "lt": period.until}
    given = {name: end.isoformat() for name, end in ends.items() if end}
    return {"range": {"@timestamp": given}} if given else {"match_all": {}}


def _all_of(*queries: Mapping[str, Any]) -> dict[str, Any]:
    return {"bool": {"filter": list(queries)}}


def _id_of(key: Key) -> str:
    """The same for one instance, so that no second run of the command doubles an outcome."""
    return hashlib.blake2s(f"{key.instance} {key.request_id}".encode(), digest_size=16).hexdigest()


def _holds(line: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Whether an outcome says something else than the one that is there, and is not older."""
    return times_of(line) >= times_of(known) and any(line.get(name) != known.get(name) for name in _SAID)


def _creation(id_: str) -> dict[str, dict[str, Any]]:
    return {"create": {"_index": _stream(OUTCOME_DATASET), "_id": id_}}


def _change(hit: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A data stream only grows; what is in it is replaced in the index behind it, if nobody else has meanwhile."""
    where = {name: hit[name] for name in ("_index", "_id")}
    return {"index": {**where, "if_seq_no": hit["_seq_no"], "if_primary_term": hit["_primary_term"]}}
