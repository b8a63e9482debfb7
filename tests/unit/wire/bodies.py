"""A signature with every kind of feature, and bodies for it: plain ones, with unknown categories, and all others."""

from __future__ import annotations

from app.signature import Feature, FeatureType, Signature

CARRIERS = ("AA", "Zürich", "")
SIGNATURE = Signature(
    (
        Feature("carrier", FeatureType.CATEGORY, required=True, categories=CARRIERS),
        Feature("hour", FeatureType.LONG, required=True),
        Feature("class", FeatureType.CATEGORY, categories=(10, 20)),
        Feature("a/b", FeatureType.NUMBER),
        Feature("a~b", FeatureType.INTEGER),
        Feature("Größe", FeatureType.BOOLEAN),
        Feature("", FeatureType.NUMBER),
    )
)

PLAIN = [
    '{"instances":[{"carrier":"AA","hour":17}]}',
    '{"instances": [{"carrier": "Zürich", "hour": -3, "class": 20, "a/b": 1.5e-3, "a~b": 7, "Größe": true, "": 0.1}]}',
    ' {\t"instances" :\r\n[ { "hour" : null , "carrier" : null } , {"carrier":"","hour":0} ] } \n',
    '{"parameters": {}, "instances": [{"carrier": "AA", "hour": 1}]}',
    '{"instances": [{"carrier": "AA", "hour": 1}], "parameters": null}',
    '{"instances": [{"hour": 1, "carrier": "AA"}, {"carrier": "AA", "hour": 1}, {"hour": 2.0, "carrier": "AA"}]}',
    '{"instances": [{"carrier": "AA", "hour": -0, "a/b": -0, "": -0.0, "a~b": -0.0}]}',
    '{"instances": [{"carrier": "AA", "hour": 1e3, "a/b": 1E+2, "": 123456789.123456789}]}',
    '{"instances": [{"carrier": "AA", "hour": 1, "a~b": 2147483647}]}',
    '{"instances": [{"carrier": "AA", "hour": 1, "a~b": -2147483648}]}',
]
UNKNOWN = [
    '{"instances": [{"carrier": "UA", "hour": 1}]}',
    '{"instances": [{"carrier": "AA", "hour": 1, "class": 30}]}',
    '{"instances": [{"class": -7, "carrier": " ~", "hour": 1}, {"carrier": "", "hour": 1}, {"carrier":"Z","hour":2}]}',
]
FULL = '"carrier": "AA", "hour": 1, "class": 10, "a/b": 1, "a~b": 1, "Größe": true, "": 1'
REPEATED = [  # a feature of an instance that has them all
    f'{{"instances": [{before}{{{FULL}, {again}}}]}}'
    for before in ("", f"{{{FULL}}}, ", f"{{{FULL}}}, {{{FULL}}}, ")
    for again in ('"carrier": "AA"', '"": 1', '"hour": 2', '"carrier": "AA", "hour": 1', FULL)
]
NOT_PLAIN = [
    *REPEATED,
    "", "{}", "[]", "null", '{"instances": []}', '{"instances": {}}', '{"instances": [1]}', '{"instances": [{}]}',
    '{"instances": [{"carrier": "AA"}]}', '{"instances": [{"carrier": "AA", "hour": 1}]', "\ufeff" + PLAIN[0],
    '{"instances": [{"carrier": "AA", "hour": 1},]}', '{"instances": [{"carrier": "AA", "hour": 1,}]}',
    '{"instances": [{"carrier": "AA", "hour": 1} {"carrier": "AA", "hour": 1}]}', PLAIN[0] + "x", PLAIN[0] + PLAIN[0],
    '{"instances": [{"carrier": "AA", "hour": 1}], "instances": [{"carrier": "AA", "hour": 1}]}',
    '{"instances": [{"carrier": "AA", "hour": 1}], "parameters": {}, "parameters": {}}',
    '{"parameters": {}, "instances": [{"carrier": "AA", "hour": 1}], "parameters": {}}',
    '{"instances": [{"carrier": "AA", "hour": 1}], "parameters": {"a": 1}}',
    '{"instances": [{"carrier": "AA", "hour": 1}], "more": null}', '{"Instances": [{"carrier": "AA", "hour": 1}]}',
    '{"instances": [{"carrier": "AA", "hour": 1, "hour": 1}]}', '{"instances": [{"carrier": "AA", "hour": 1, "x": 1}]}',
    '{"instances": [{"carrier": "AA", "hour": 1, "": 1, "": 2}]}',
    '{"instances": [{"carrier": 1, "hour": 1}]}',
    '{"instances": [{"carrier": "AA", "hour": "1"}]}', '{"instances": [{"carrier": "AA", "hour": true}]}',
    '{"instances": [{"carrier": "AA", "hour": 1.5}]}', '{"instances": [{"carrier": "AA", "hour": 1e400}]}',
    '{"instances": [{"carrier": "AA", "hour": 1, "a/b": 1e39}]}', '{"instances": [{"carrier": "AA", "hour": NaN}]}',
    '{"instances": [{"carrier": "AA", "hour": 1, "a/b": Infinity}]}', '{"instances": [{"carrier": "AA", "hour": 01}]}',
    '{"instances": [{"carrier": "AA", "hour": 1, "a/b": 340282346638528859811704183484516925441}]}',
    '{"instances": [{"carrier": "AA", "hour": 1, "a~b": 2147483648}]}',
    '{"instances": [{"carrier": "AA", "hour": +1}]}',
    '{"instances": [{"carrier": "AA", "hour": 1.}]}', '{"instances": [{"carrier": "AA", "hour": .5}]}',
    '{"instances": [{"carrier": "AA", "hour": 1e}]}', '{"instances": [{"carrier": "AA", "hour": -}]}',
    '{"instances": [{"carrier": "AA", "hour": 9223372036854775808}]}', "{'instances': [{'carrier': 'AA', 'hour': 1}]}",
    '{"instances": [{"carrier": "AA", "hour": 1, "Größe": 1}]}', '{"instances": [{"carrier": "AA", "hour": tru}]}',
    '{"instances": [{"carrier": "AA", "hour": 1, "class": 10.0}]}', '{"instances": [{"carrier": "\u0001", "hour": 1}]}',
    '{"instances": [{"carrier": "AA", "hour": 1, "class": -0}]}', '{"instances": [{"carrier": "Köln", "hour": 1}]}',
    '{"instances": [{"carrier": "AA", "hour": nul}]}',
    '{"instances": [{"carrier": "AA", "hour": 1, "class": "10"}]}', '{"instances": [{"carrier": "AA" "hour": 1}]}',
]  # fmt: skip
