"""No test holds an assertion that cannot fail, or that holds for almost anything."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ANYTHING = {"", ".", ".*", ".+"}


def assertions_that_cannot_fail(source):
    """Lines of assertions that hold whatever the code does."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assert) and cannot_fail(node.test):
            lines.append(node.lineno)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Compare):
            lines.append(node.lineno)  # nobody looks at it
        elif isinstance(node, ast.Call) and accepts_any_message(node):
            lines.append(node.lineno)
    return lines


def cannot_fail(test):
    if isinstance(test, ast.BoolOp):
        every = [cannot_fail(value) for value in test.values]
        return any(every) if isinstance(test.op, ast.Or) else all(every)
    if isinstance(test, ast.Compare):
        sides = [test.left, *test.comparators]
        return any(map(holds_always, sides, test.ops, sides[1:])) or is_size_alone(test)
    always = ast.GeneratorExp | ast.ListComp | ast.IfExp | ast.JoinedStr | ast.List | ast.Tuple | ast.Dict | ast.Set
    return isinstance(test, always) or (isinstance(test, ast.Constant) and bool(test.value))


def holds_always(left, operator, right):
    """A thing compared with itself, or a number of things that is not negative."""
    has_call = any(isinstance(node, ast.Call) for node in ast.walk(left))
    if isinstance(operator, ast.Eq | ast.Is | ast.LtE | ast.GtE) and not has_call and ast.dump(left) == ast.dump(right):
        return True
    if isinstance(operator, ast.Lt | ast.LtE):
        left, right = right, left
    bounds = {ast.GtE: "0", ast.LtE: "0", ast.Gt: "-1", ast.Lt: "-1"}
    is_count = isinstance(left, ast.Call) and ast.unparse(left.func) == "len"
    return is_count and ast.unparse(right) == bounds.get(type(operator))


def is_size_alone(test):
    """Whether a file has some bytes: so has a figure of blank axes."""
    left, (operator,), (right,) = test.left, test.ops[:1], test.comparators[:1]
    is_size = isinstance(left, ast.Attribute) and left.attr == "st_size"
    return is_size and isinstance(operator, ast.Gt | ast.GtE) and isinstance(right, ast.Constant)


def accepts_any_message(call):
    if not ast.unparse(call.func).endswith(("pytest.raises", "pytest.warns")):
        return False
    matches = [keyword.value for keyword in call.keywords if keyword.arg == "match"]
    return not matches or (isinstance(matches[0], ast.Constant) and matches[0].value in ANYTHING)


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: path.name)
def test_assertions_can_fail(path):
    assert assertions_that_cannot_fail(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "assert (x for x in y)",
        "assert [x for x in y]",
        "assert [1]",
        "assert a if b else c",
        "assert (a, 'b')",
        "a == b",
        "assert path.exists() or True",
        "assert 1 and 'yes'",
        "assert a.b == a.b",
        "assert len(x) >= 0",
        "assert 0 <= len(x)",
        "assert len(x) > -1",
        "assert path.stat().st_size > 10_000",
        "with pytest.raises(ValueError): f()",
        "with pytest.raises(ValueError, match=r'.'): f()",
        "with pytest.warns(UserWarning, match=''): f()",
    ],
)
def test_the_check_of_assertions_finds_them(line):
    assert assertions_that_cannot_fail(line) == [1]


@pytest.mark.parametrize(
    "line",
    [
        "assert a or b",
        "assert f(x) == f(x)",
        "assert len(x) >= 1",
        "assert path.stat().st_size < 300_000",
        "assert a == b == c",
        "with pytest.raises(ValueError, match='expected a number'): f()",
        "with pytest.raises(ValueError, match=message): f()",
    ],
)
def test_the_check_of_assertions_leaves_others_alone(line):
    assert assertions_that_cannot_fail(line) == []
