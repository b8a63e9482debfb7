"""The spans of a request: one for all of it, below it one for each step of its answer."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Mapping, Sequence
from itertools import pairwise

from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, ParentBased
from opentelemetry.trace import (
    Span,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    format_trace_id,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app import __version__
from app.model_version import ModelVersion
from app.tracing.export import SpanQueue

# What is measured of an answer, in this order.
_STEPS = ("decode", "predict", "encode")
_NO_PARENT = Context()
# They tell in a line of the log what is wrong with a caller's header; any caller could fill the log with them.
_CALLERS_FAULTS = ("opentelemetry.trace.propagation.tracecontext", "opentelemetry.trace.span")
# In a `traceparent` that is valid.
_FLAGS = slice(53, 55)
_FAILED = 500


class _Ids(RandomIdGenerator):
    """Gives a trace that begins here the number of which the sampler was asked."""

    next_trace = 0

    def generate_trace_id(self) -> int:
        """See above; never the same twice."""
        number, self.next_trace = self.next_trace, 0
        return number or super().generate_trace_id()


class Tracing:
    """Decides which requests are traced, and has their spans sent."""

    def __init__(self) -> None:
        for name in _CALLERS_FAULTS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        # The log has the number of the process too.
        named = Resource.create(
            {"service.name": "treeserve", "service.version": __version__, "process.pid": os.getpid()}
        )
        # Which has what the operator says, who has the last word.
        resource = named.merge(OTELResourceDetector().detect())
        # First what can fail, for a queue has a thread.
        # Of our own and not the process's: no library beside us begins to trace through it.
        self._sampler = TracerProvider(shutdown_on_exit=False).sampler  # as the SDK's variables say
        self._heeds_callers = isinstance(self._sampler, ParentBased)
        self._ids = _Ids()
        provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False, id_generator=self._ids)
        self._queue = SpanQueue()
        provider.add_span_processor(self._queue)
        self._tracer = provider.get_tracer("treeserve", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def open(
        self, headers: Mapping[bytes, bytes], trace_id: str | None, at_us: int, started_s: float
    ) -> RequestSpan | None:
        """
        Open the span of a request, if the sampler wants it.

        Parameters
        ----------
        headers : mapping of bytes to bytes
            Names in lower case.
        trace_id : str or None
            The caller's, if its `traceparent` is valid.
        at_us, started_s
            When the request came, as `RequestContext` has it.
        """
        if trace_id is None:
            parent = _NO_PARENT
            self._ids.next_trace = number = random.getrandbits(128)
        elif self._heeds_callers and not int(headers[b"traceparent"][_FLAGS], 16) & TraceFlags.SAMPLED:
            return None  # as nearly all are where callers sample
        else:
            parent = self._read_parent(headers)
            number = int(trace_id, 16)
        # Asked before anything is made: a span that is not sampled takes four times as long.
        decision = self._sampler.should_sample(parent, number, "POST", SpanKind.SERVER).decision
        if decision is not Decision.RECORD_AND_SAMPLE:
            return None
        span = self._tracer.start_span("POST", parent, SpanKind.SERVER, start_time=at_us * 1000)
        return RequestSpan(self._tracer, span, at_us * 1000 - round(started_s * 1e9))

    def _read_parent(self, headers: Mapping[bytes, bytes]) -> Context:
        given = {name: headers.get(name.encode(), b"").decode("latin-1") for name in self._propagator.fields}
        return self._propagator.extract(given, _NO_PARENT)

    def close(self, timeout_s: float) -> None:
        """Send what waits, for so long at most."""
        self._queue.close(timeout_s)


class RequestSpan:
    """
    The span of one request, until its end.

    Attributes
    ----------
    trace_id : str
    """

    __slots__ = ("_epoch_ns", "_span", "_tracer", "trace_id")

    def __init__(self, tracer: Tracer, span: Span, epoch_ns: int) -> None:
        """
        Keep a span.

        Parameters
        ----------
        epoch_ns : int
            What `time.perf_counter_ns` says and this are the time since the epoch.
        """
        self._tracer = tracer
        self._span = span
        self._epoch_ns = epoch_ns
        self.trace_id = format_trace_id(span.get_span_context().trace_id)

    def add_answer(self, version: ModelVersion, n_instances: int, steps_ns: Sequence[int]) -> None:
        """
        Add the steps of an answer.

        Parameters
        ----------
        version : ModelVersion
            Who has answered.
        n_instances : int
        steps_ns : sequence of int
            When each step began, and at last when they were over, by `time.perf_counter_ns`.
        """
        self._span.set_attributes(
            {
                "treeserve.model.name": version.name,
                "treeserve.model.version": version.version,
                "treeserve.n_instances": n_instances,
            }
        )
        here = set_span_in_context(self._span, _NO_PARENT)
        for name, (began_ns, ended_ns) in zip(_STEPS, pairwise(steps_ns), strict=True):
            step = self._tracer.start_span(name, here, start_time=self._epoch_ns + began_ns)
            step.end(self._epoch_ns + ended_ns)

    def end(self, request_id: str, path: str, route: str | None, status: int, ended_ns: int) -> None:
        """
        End it; it is sent some time later.

        Parameters
        ----------
        route : str or None
            Which of the service's the path is.
        status : int
            Of HTTP; 0 if there is none.
        """
        attributes: dict[str, str | int] = {
            "http.request.method": "POST",
            "http.request.id": request_id,
            "url.path": path,
            "url.scheme": "http",
        }
        if route is not None:
            self._span.update_name(f"POST {route}")
            attributes["http.route"] = route
        if status:
            attributes["http.response.status_code"] = status
        if status >= _FAILED:
            attributes["error.type"] = str(status)
            self._span.set_status(StatusCode.ERROR)
        self._span.set_attributes(attributes)
        self._span.end(self._epoch_ns + ended_ns)
