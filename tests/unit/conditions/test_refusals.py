"""What is refused, and that the error says where and why (semantics.md, section 3)."""

from typing import Any

import pytest

from processor.core.conditions import InvalidConditions, compile_conditions
from processor.core.conditions.dialect import DEPTH_LIMIT, SIZE_LIMIT
from processor.core.conditions.parse import TEXT_LIMIT
from processor.core.shelves import Entry, Shelves


def nested(levels: int) -> dict[str, Any]:
    query: dict[str, Any] = {"a": 1}
    for _ in range(levels):
        query = {"$and": [query]}
    return query


@pytest.mark.parametrize(
    ("query", "path", "reason"),
    [
        ({"$where": "sleep(1)"}, "$.$where", "JavaScript"),
        ({"$and": [{"a": 1}, {"$expr": {"$eq": [1, 1]}}]}, "$.$and[1].$expr", "aggregation"),
        ({"a": {"$function": {}}}, "$.a.$function", "JavaScript"),
        ({"person._id": {"$personaIdent": {"key": "x"}}}, "$.person._id.$personaIdent", "personas"),
        ({"$text": {"$search": "x"}}, "$.$text", "text index"),
        ({"$jsonSchema": {}}, "$.$jsonSchema", "not part"),
        ({"a": {"$near": [0, 0]}}, "$.a.$near", "geographic"),
        ({"a": {"$geoWithin": {}}}, "$.a.$geoWithin", "geographic"),
        ({"a": {"$gt": 1, "$like": "x"}}, "$.a.$like", "unknown operator $like"),
        ({"$xor": []}, "$.$xor", "unknown operator $xor"),
        ({"a": {"$elemMatch": {"b": {"$where": "1"}}}}, "$.a.$elemMatch.b.$where", "JavaScript"),
        ({"a": {"$not": {"$where": "1"}}}, "$.a.$not.$where", "JavaScript"),
        ({"a": {"b": {"$gt": 1}}}, "$.a.b.$gt", "no operator here"),
        ({"a": {"$in": [{"$gt": 1}]}}, "$.a.$in[0].$gt", "no operator here"),
        ({"$or": []}, "$.$or", "at least one"),
        ({"$and": {"a": 1}}, "$.$and", "needs a list"),
        ({"$nor": [1]}, "$.$nor[0]", "a query is an object"),
        ({"$date": 0}, "$", "a query is an object"),
        ({"$oid": "5" * 24}, "$", "a query is an object"),
        ({"a": {"$in": 1}}, "$.a.$in", "needs a list"),
        ({"a": {"$all": "x"}}, "$.a.$all", "needs a list"),
        ({"a": {"$size": -1}}, "$.a.$size", "whole number"),
        ({"a": {"$size": 1.5}}, "$.a.$size", "whole number"),
        ({"a": {"$mod": [0, 1]}}, "$.a.$mod", "divide by 0"),
        ({"a": {"$mod": [2]}}, "$.a.$mod", "[divisor, remainder]"),
        ({"a": {"$type": "text"}}, "$.a.$type", "'text'"),
        ({"a": {"$not": 1}}, "$.a.$not", "needs operators"),
        ({"a": {"$elemMatch": 1}}, "$.a.$elemMatch", "needs an object"),
        ({"a": {"$options": "i"}}, "$.a.$options", "needs a $regex"),
        ({"a": {"$regex": 1}}, "$.a.$regex", "strings"),
        ({"a": {"$regex": "x", "$options": "g"}}, "$.a.$regex", "option 'g'"),
        ({"a": {"$regex": "(?=x)"}}, "$.a.$regex", "RE2"),
        ({"a": {"$regex": "(?<!x)y"}}, "$.a.$regex", "RE2"),
        ({"a": {"$regex": r"(a)\1"}}, "$.a.$regex", "RE2"),
        ({"a": {"$regex": "a++"}}, "$.a.$regex", "RE2"),
        ({"a": {"$regex": "("}}, "$.a.$regex", "RE2"),
        ({"a": {"$regex": r"(?i)\pL{100}0"}}, "$.a.$regex", "repeat less often"),
        ({"$or": [{"a": {"$regex": f"{n}"}} for n in range(101)]}, "$", "101 regular expressions"),
        ({"a": {"$not": {"$in": [{"$regularExpression": {"pattern": f"{n}"}} for n in range(101)]}}}, "$", "an $in"),
        ({"a": [{"$elemMatch": {"b": {"$regex": "x" * 10_001}}}]}, "$", "10001 characters"),
        ({"a": {"$in": [{"$regex": "("}]}}, "$.a.$in[0]", "RE2"),
        ({"a..b": 1}, "$.a..b", "no empty part"),
        ({".".join("a" * 101): 1}, "$." + ".".join("a" * 101), "at most 100 parts"),
        ({"a" * 4_097: 1}, "$." + "a" * 4_097, "at most 4096 characters"),
        ({"a": {"$elemMatch": {"b" * 4_097: 1}}}, "$.a.$elemMatch." + "b" * 4_097, "at most 4096 characters"),
        ({"a": {"$numberLong": "18446744073709551616"}}, "$.a.$numberLong", "64 bits"),
        ({"a": "\ud800"}, "$.a", "UTF-8"),
        ({"\ud800": 1}, "$", "UTF-8"),
        (nested(DEPTH_LIMIT), "$", "nested deeper"),
        ({"a": {"$in": list(range(SIZE_LIMIT))}}, "$", "more than"),
        ("{not json", "$", "not JSON"),
        ("[]", "$", "not list"),
        ('"x"', "$", "not str"),
        (" " * (TEXT_LIMIT + 1), "$", "longer than"),
    ],
)
def test_refused_with_path_and_reason(query: Any, path: str, reason: str) -> None:
    with pytest.raises(InvalidConditions) as raised:
        compile_conditions(query)
    assert raised.value.path == path
    assert reason in raised.value.reason
    assert str(raised.value) == f"{path}: {raised.value.reason}"


def test_what_is_just_within_the_limits_is_taken() -> None:
    assert compile_conditions(nested(DEPTH_LIMIT // 2 - 1))({"a": 1})
    assert compile_conditions({"a": {"$in": list(range(SIZE_LIMIT // 2))}})({"a": 7})
    assert compile_conditions({"a": {"$in": [{"$regex": f"{n:099}$"} for n in range(100)]}})({"a": f"{7:099}"})
    assert compile_conditions({"a": {"$regex": ".{1000}"}})({"a": "x" * 1_000})
    assert compile_conditions({"a": {"$regex": r"(?i)^https?://(\w+\.)+org/\pL+/\d+$"}})({"a": "HTTP://a.b.org/c/1"})
    assert compile_conditions({"a" * 4_096: 1})({"a" * 4_096: 1})
    assert compile_conditions("")({})
    assert compile_conditions(" ").is_empty


@pytest.mark.parametrize("key", ["a", "a" * 60], ids=["many parts", "many characters"])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_paths_that_are_too_long_together_allow_no_index(key: str, times: int) -> None:
    """Each is within the limits, so that nothing is refused."""
    query: dict[str, Any] = {"b": 1}
    document: dict[str, Any] = {"b": 1}
    for _ in range(times):
        query = {".".join([key] * 60): {"$elemMatch": query}}
        document = {key: [document]}
        for _ in range(59):
            document = {key: document}
    conditions = compile_conditions(query)
    assert list(Shelves([Entry(conditions, conditions.required)]).candidates(document)) == [conditions]
    assert conditions(document)
