"""What sizes say when they cannot do what was asked: each message names the size, the reason and the way out."""

import numpy as np
import pytest

from sardonyx.trainer.core import dims
from sardonyx.trainer.core.dims import Dim, UndecidableSize, bounds, dim, evaluate, parse

h, w = dim("h"), dim("w")

KNOWN_ONLY_LATER = r"size 'h' is known only when the model runs.*ops\.convert_to_tensor\(x\.shape\[1\]\)"
MESSAGES = [
    (lambda: int(h), TypeError, KNOWN_ONLY_LATER),
    (lambda: float(h), TypeError, KNOWN_ONLY_LATER),
    (lambda: range(h), TypeError, KNOWN_ONLY_LATER),
    (lambda: h < 8, UndecidableSize, r"whether h < 8: 'h' is known only when the model runs.*ops\.where or ops\.cond"),
    (lambda: h <= w, UndecidableSize, r"whether h <= w: 'h' and 'w' is known only.*Input\(shape=\.\.\.\)"),
    (lambda: 8 > h, UndecidableSize, r"whether h < 8"),  # noqa: SIM300 - the reflected operator is what is tested
    (lambda: h >= 2, UndecidableSize, r"whether h >= 2"),
    (lambda: bool(h // 2), UndecidableSize, r"whether h//2 is different from 0"),
    (lambda: h / 2, TypeError, r"\(h\) / \(2\) may be a fraction.*use // instead of /"),
    (lambda: 2 / h, TypeError, r"\(2\) / \(h\) may be a fraction.*use // instead of /"),
    (lambda: h * 0.5, TypeError, r"whole numbers; got the float 0\.5 for \*.*// to divide"),
    (lambda: h**-1, ValueError, r"\(h\)\*\*-1 is not a whole number"),
    (lambda: h**w, TypeError, r"unsupported operand"),
    (lambda: h // 0, ZeroDivisionError, r"a size cannot be divided by 0"),
    (lambda: h % (w - w), ZeroDivisionError, r"a size cannot be divided by 0"),
    (lambda: dim("2h"), ValueError, r"a size cannot be called '2h': use letters, digits and _"),
    (lambda: dim("a b"), ValueError, r"cannot be called 'a b'"),
    (lambda: dim("in"), ValueError, r"cannot be called 'in'.*no Python keyword"),
    (lambda: dim("max"), ValueError, r"cannot be called 'max'"),
    (lambda: dim("\ufb01"), ValueError, r"cannot be called"),
    (lambda: dim(3), TypeError, r"the name of a size must be a string such as 'batch'; got 3 \(int\)"),
    (lambda: dims.fresh("1"), ValueError, r"cannot be called '1'"),
    (lambda: parse(3), TypeError, r"parsed from a string such as '2\*time \+ 1'; got 3 \(int\)"),
    (lambda: parse(""), ValueError, r"cannot read '' as a size: it is empty; allowed are names, whole numbers"),
    (lambda: parse("a b"), ValueError, r"cannot read 'a b' as a size: it is not a whole expression"),
    (lambda: parse("a/2"), ValueError, r"'/' may give a fraction, write '//'"),
    (lambda: parse("a//0"), ValueError, r"it divides by 0"),
    (lambda: parse("a % (b - b)"), ValueError, r"it divides by 0"),
    (lambda: parse("a << 2"), ValueError, r"the operator LShift has no meaning in a size"),
    (lambda: parse("a.b"), ValueError, r"'a\.b' has no meaning in a size"),
    (lambda: parse("f(a)"), ValueError, r"'f\(a\)' has no meaning in a size"),
    (lambda: parse("max()"), ValueError, r"'max\(\)' has no meaning in a size"),
    (lambda: parse("max(*a)"), ValueError, r"'\*a' has no meaning in a size"),
    (lambda: parse("max(a, key=b)"), ValueError, r"has no meaning in a size"),
    (lambda: parse("1.5*a"), ValueError, r"'1\.5' has no meaning in a size"),
    (lambda: parse("True"), ValueError, r"'True' has no meaning in a size"),
    (lambda: parse("a if b else c"), ValueError, r"has no meaning in a size"),
    (lambda: parse("min + 1"), ValueError, r"a size cannot be called 'min'"),
    (lambda: parse("a**99"), ValueError, r"a power must be between 0 and 16, got 99"),
    (lambda: parse("a" * 5000), ValueError, r"it is longer than 4000 characters"),
    (lambda: parse("-" * 300 + "a"), ValueError, r"it is nested too deep"),
    (lambda: parse("(" * 500 + "a" + ")" * 500), ValueError, r"it is not a whole expression"),
    (lambda: parse("(a + b + c + d)**16"), ValueError, r"it is too large"),
    (lambda: parse("10**16 * 10**16"), ValueError, r"it is too large"),
    (lambda: parse("*".join("abcdefgh" * 3)), ValueError, r"it is too large"),
    (lambda: parse("h" + "".join(f"%x{i}" for i in range(20))), ValueError, r"it is too large"),
    (lambda: parse(f"max({', '.join(f'x{i}' for i in range(20))})"), ValueError, r"max takes at most 16 operands"),
    (lambda: parse("max(a, b)" + "".join(f" + x{i}" for i in range(300))), ValueError, r"nested too deep"),
    (lambda: dims.as_size(True), TypeError, r"a dimension of a shape is a whole number >= 0, None.*got True \(bool\)"),
    (lambda: dims.as_size(2.0), TypeError, r"such as 'time' or '2\*time \+ 1'; got 2\.0 \(float\)"),
    (lambda: dims.as_size([2]), TypeError, r"got \[2\] \(list\)"),
    (lambda: dims.as_size(-1), ValueError, r"cannot be negative; got -1\. .*None or a name such as 'time'"),
    (lambda: dims.as_size("-3"), ValueError, r"cannot be negative; got '-3'"),
    (lambda: bounds("h"), TypeError, r"a size is an int or a symbolic size \(Dim\); got 'h' \(str\)"),
    (
        lambda: evaluate(h * w, {"h": 2}),
        ValueError,
        r"the value of size 'w' is needed to compute h\*w and was not given; given: h=2",
    ),
    (lambda: evaluate(h, {}), ValueError, r"given: none"),
    (lambda: evaluate(h // w, {"h": 2, "w": 0}), ValueError, r"size h//w divides by 0 for h=2, w=0"),
    (
        lambda: dims.solve(h * w, 6, {}),
        UndecidableSize,
        r"cannot find 'h' and 'w' from h\*w = 6.*Input\(shape=\.\.\.\)",
    ),
    (lambda: dims.solve(h // 2, 3, {}), UndecidableSize, r"cannot find 'h' from h//2 = 3; .* the form a\*name \+ b"),
    (
        lambda: dims.broadcast_size(dim("time"), dim("size_2")),
        UndecidableSize,
        r'sizes "time" and "size_2" may differ; if they are always equal give them the same name in '
        r'Input\(shape=\("time", \.\.\.\)\)',
    ),
    (
        lambda: dims.broadcast_size(2 * (h // 2), h),
        UndecidableSize,
        r'sizes "2\*\(h//2\)" and "h" may differ \(with h = 1 they are 0 and 1\); if h is always a multiple of 2, say '
        r'so by naming the size as one in Input\(shape=\("2\*h", \.\.\.\)\)',
    ),
    (
        lambda: dims.broadcast_size(h * w, h + w),
        UndecidableSize,
        r"\(with h = 1, w = 1 they are 1 and 2\); reshape, slice or pad one of them",
    ),
    (lambda: dims.broadcast_size(h, 3), UndecidableSize, r'size "h" may differ from 3; if it is always 3 give it as'),
    (lambda: dims.broadcast_size(2, 3), ValueError, r'sizes "2" and "3" always differ.*must be equal, or one of them'),
    (lambda: dims.broadcast_size(h + 1, h), ValueError, r'sizes "h \+ 1" and "h" always differ'),
]


@pytest.mark.parametrize(("action", "error", "message"), MESSAGES, ids=[case[2][:60] for case in MESSAGES])
def test_message(action, error, message):
    with pytest.raises(error, match=message) as raised:
        action()
    assert type(raised.value) is error


def test_sizes_cannot_be_mistaken_for_numbers():
    assert issubclass(UndecidableSize, ValueError)
    assert not isinstance(h, int)
    assert isinstance(h - 1, Dim)
    with pytest.raises(TypeError, match="known only when the model runs"):
        np.zeros((2, h))
