"""The compiled codec takes nothing that the decoder in Python refuses, and reads the same bits."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.signature import Feature, FeatureType, Signature
from app.wire import plain
from app.wire._codec import Codec
from app.wire.decoder import InstancesDecoder
from app.wire.exchange import Exchange
from app.wire.plain import make_codec
from tests.lines import make_format
from tests.processes import PROJECT
from tests.unit.wire.bodies import NOT_PLAIN, PLAIN, SIGNATURE, UNKNOWN
from tests.unit.wire.test_encode_plain import assert_texts, make_float32
from tests.unit.wire.test_instances import CODEC, assert_plain_agrees
from tests.unit.wire.test_instances_generated import INSTANCES

SOURCES = PROJECT / "app" / "wire" / "codec"
NUMBER = Signature((Feature("x", FeatureType.NUMBER),))


def assert_corpus(codec: Codec | None) -> None:
    """Every body of the two lists is taken, or is not, and nowhere do the decoders differ."""
    for unknown_is_missing in (False, True):
        taken = [
            body
            for body in (*PLAIN, *UNKNOWN, *NOT_PLAIN)
            if assert_plain_agrees(body.encode(), codec=codec, unknown_is_missing=unknown_is_missing)
        ]
        assert taken == ([*PLAIN, *UNKNOWN] if unknown_is_missing else PLAIN)


def test_plain_bodies_are_taken_and_others_left() -> None:
    """What callers nearly always send is plain; what is not valid never is."""
    assert_corpus(CODEC)
    two = b'{"instances": [{"carrier": "AA", "hour": 1}, {"carrier": "AA", "hour": 1}]}'
    assert assert_plain_agrees(two, max_instances=2)
    assert not assert_plain_agrees(two, max_instances=1)


@pytest.mark.parametrize(
    ("check", "without"),
    [
        ("reading->seen[*column] == reading->instance", "0"),
        ("n_required == codec->n_required", "1"),
        ("!(fabs(number) < MAX_NUMBER)", "0"),
        ("reading->has_parameters++ ||", ""),
        ("return reading->at == reading->end ? END", "return 1 ? END"),
        ("number <= 2147483647.0 && number == trunc(number)", "1"),
        ("fabs(number) < 9007199254740992.0 && number == trunc(number)", "1"),
        ("if (!found)", "if (!found) { *column = 3; return 1; } if (0)"),
        ("reading.instance <= max_instances", "1"),
        ("&& !(*is_whole && *value == 0)", ""),
        ("(2 * rest == one && n_units % 2)", "0"),
        ("n_digits > DIGITS - 2 && mantissa ==", "0 && mantissa =="),
        ("unit >> HALF_ULP", "unit >> (HALF_ULP - 1)"),
        ("unit >> HALF_ULP", "unit >> (HALF_ULP + 1)"),
        ("if (*scale < 1 ||", "if (*scale < 0 ||"),
        ("&& is_printable(cell->token)", ""),
        ("is_whole && (number", "(number"),
        ("(number != 0 || *cell->token.start == '0') && ", ""),
        ("writing->format->codec, exchange->body, 1)", "writing->format->codec, exchange->body, 0)"),
        ("at++; /* JSON has no leading zeros */", "while (at < end && is_digit(*at)) at++;"),
    ],
)
def test_a_codec_without_a_check_is_found_out(tmp_path: Path, check: str, without: str) -> None:
    """The two lists above, and the comparison, are enough to see it."""
    files = []
    n_found = 0
    for source in SOURCES.iterdir():
        text = source.read_text(encoding="utf-8")
        n_found += text.count(check)
        (tmp_path / source.name).write_text(text.replace(check, without), encoding="utf-8")
        files += [str(tmp_path / source.name)] * (source.suffix == ".c")
    assert n_found == 1
    target = tmp_path / "_codec.so"
    include = f"-I{sysconfig.get_path('include')}"
    subprocess.run(
        ["gcc", "-std=c11", "-O0", "-shared", "-fPIC", include, *files, "-lm", "-o", str(target)], check=True
    )
    spec = importlib.util.spec_from_file_location("app.wire._codec", target)
    assert spec is not None
    assert spec.loader is not None
    spoiled = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(spoiled)
    with pytest.raises((AssertionError, ValueError)):
        assert_spoiled(spoiled)


def assert_spoiled(module: Any) -> None:
    """The comparisons, on a codec of this module's."""
    assert_texts(make_float32(1000), module.predictions)
    codec = module.Codec(tuple(map(plain._describe, SIGNATURE.features)))
    assert_corpus(codec)
    assert not assert_plain_agrees(PLAIN[5].encode(), max_instances=2, codec=codec)


@given(INSTANCES, st.sampled_from([None, 1]), st.booleans())
def test_any_valid_instances_read_the_same(
    generated: list[dict[str, tuple[Any, float]]], indent: Any, raw: bool
) -> None:
    """And are taken, if their whole numbers are exact and no name is escaped."""
    instances = [{name: value for name, (value, _) in row.items()} for row in generated]
    body = json.dumps({"instances": instances}, indent=indent, ensure_ascii=not raw)
    numbers = [value for row in instances for value in row.values() if isinstance(value, int | float)]
    is_plain = "\\u" not in body and all(abs(number) < 2**53 for number in numbers)
    assert assert_plain_agrees(body.encode()) or not is_plain


PIECES = ['"', "\\", ",", ":", "{", "}", "[", "]", "-", "+", ".", "e", "0", "1", "9" * 20, "null", "true", " ", "\n",
          '"hour"', '"carrier"', '"AA"', '"instances"', "NaN", "\0", "é"]  # fmt: skip


@settings(max_examples=500)
@given(
    st.sampled_from(PLAIN + UNKNOWN),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 8), st.sampled_from(PIECES)), max_size=4),
)
def test_bodies_that_are_nearly_plain(body: str, changes: list[tuple[int, int, str]]) -> None:
    """Pieces taken out and put in anywhere: what is taken all the same is valid."""
    for at, n_removed, piece in changes:
        body = body[:at] + piece + body[at + n_removed :]
    for unknown_is_missing in (False, True):
        assert_plain_agrees(body.encode(), unknown_is_missing=unknown_is_missing)


@settings(max_examples=500)
@given(st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True))
@example("2.2250738585072011e-308")
@example("9007199254740993")
@example("0.1e-45")
@example("1.00000005960464477539062")  # between two float32, and nearer to which only the whole of it says
@example("123456789012345678e-22")
@example("8.5e22")
def test_any_number_is_read_as_python_reads_it(text: str) -> None:
    """To float64 and from there to float32, each rounded once."""
    codec = make_codec(NUMBER)
    assert codec is not None
    read = codec.read(f'{{"instances": [{{"x": {text}}}]}}'.encode(), 1, False, 0)
    value = json.loads(text)
    if read is None:
        assert len(text) > 64 or abs(value) >= 1e38
    else:
        assert read == (np.array([value], dtype=np.float32).tobytes(), 0, [])


def test_names_that_json_escapes_have_no_codec() -> None:
    """Or none for those that cannot be written at all; the decoder in Python reads them."""
    for name in ['"', "\\", "\n", "\ud800"]:
        assert make_codec(Signature((Feature(name, FeatureType.NUMBER),))) is None
    assert make_codec(Signature(())) is None


def test_categories_that_json_escapes_are_left_to_the_other_decoder() -> None:
    """The rest of the feature's categories are plain."""
    signature = Signature((Feature("x", FeatureType.CATEGORY, categories=('"', "\\", "b", "\x7f")),))
    decoder = InstancesDecoder(signature)
    for code, name in enumerate(['"', "\\", "b", "\x7f"]):
        body = json.dumps({"instances": [{"x": name}]}, ensure_ascii=False).encode()
        decoded = decoder.decode(body, max_instances=1, unknown_is_missing=False)
        assert decoded.matrix.tolist() == [[code]]
        assert (decoded.instances is None) is (name in ("b", "\x7f"))
        ((line, _),) = decoder.line_maker(make_format(signature)).make(Exchange(body, "0.5", "r", None, 0, 0), decoded)
        assert json.loads(line)["treeserve.features.category"] == {"x": name}


def test_without_a_built_codec_every_body_is_read_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """More slowly, with the same answer."""
    monkeypatch.setattr(plain, "_codec", None)
    decoded = InstancesDecoder(SIGNATURE).decode(PLAIN[0].encode(), max_instances=1, unknown_is_missing=False)
    assert decoded.instances == [{"carrier": "AA", "hour": 17}]


def test_wide_models_and_many_categories() -> None:
    """Names are found whatever their number and order."""
    names = [f"feature {n}" for n in range(3000)]
    decoder = InstancesDecoder(
        Signature(
            (
                *(Feature(name, FeatureType.NUMBER) for name in names),
                Feature("airport", FeatureType.CATEGORY, categories=tuple(f"A{n}" for n in range(5000))),
            )
        )
    )
    rng = np.random.default_rng(0)
    for n in (0, 4999):
        values = {name: float(rng.integers(100)) for name in rng.permutation(names)}
        body = json.dumps({"instances": [{**values, "airport": f"A{n}"}]}).encode()
        decoded = decoder.decode(body, max_instances=1, unknown_is_missing=False)
        assert decoded.instances is None
        assert decoded.matrix[0].tolist() == [*(values[name] for name in names), n]
