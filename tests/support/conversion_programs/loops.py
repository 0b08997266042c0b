"""`while` and `for` over ranges, tensors, `enumerate` and `zip`; `break`, `continue`, `else`, returns from inside."""

from __future__ import annotations

from sardonyx import ops

from .program import converted, floats, number, whole


def collatz(n):
    steps = 0
    while n != 1:
        if n % 2 == 0:
            n = n // 2
        else:
            n = 3 * n + 1
        steps += 1
    return steps


def newton_root(x):
    y = x
    while abs(y * y - x) > 1e-3:
        y = 0.5 * (y + x / y)
    return y


def power_iteration(a):
    v = ops.ones((2,))
    for _ in range(50):
        w = ops.matmul(a, v)
        w = w / ops.sqrt(ops.sum(w * w))
        change = ops.max(ops.abs(w - v))
        v = w
        if change < 1e-4:
            break
    return ops.sum(v * ops.matmul(a, v))


def bisection(target):
    low, high = 0.0, 10.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        if middle * middle * middle < target:
            low = middle
        else:
            high = middle
    return low


def greatest_divisor(a, b):
    while b != 0:
        a, b = b, a % b
    return a


def counted_by_tensor(x, n):
    total = ops.zeros_like(x)
    for i in range(int(n)):
        total = total + x * i
    return total


def range_of_tensor(x, n):
    for i in range(1, n + 1):
        x = x + ops.sin(x) / i
    return x


def rows(x):
    state = ops.zeros((2,))
    for row in x:
        state = ops.tanh(state + row)
    return state


def numbered_rows(x):
    best, place = x[0, 0], 0
    for i, row in enumerate(x):
        if ops.max(row) > best:
            best, place = ops.max(row), i
    return best, place


def pairs(x, y):
    total = 0.0
    for a, b in zip(x, y, strict=True):
        if a > b:
            total += a - b
        else:
            total += a * b
    return total


def until_negative(x):
    total = 0.0
    for value in x:
        if value < 0:
            break
        total = total + value
    return total


def without_negative(x):
    total, count = 0.0, 0
    for value in x:
        if value < 0:
            continue
        total += value * value
        count += 1
    return total, count


def first_above(x):
    for value in x:
        if value > 2.0:
            return value * 10.0
    return ops.sum(x)


def search_in_rows(x):
    found = -1.0
    for row in x:
        for value in row:
            if value > 4.0:
                found = value
                break
        if found > 0:
            break
    return found


def endless_until(x):
    count = 0
    while True:
        x = x * 1.5
        count += 1
        if ops.sum(x) > 50.0:
            break
    return x, count


def loop_with_else(x):
    result = x[0]
    for value in x:
        if value > 3.0:
            result = value
            break
    else:
        result = ops.min(x)
    return result


def appended(x):
    made = []
    state = ops.zeros(())
    for value in x:
        if value > 0:
            state = state + value
        else:
            state = state * 0.5
        made.append(state)
    return ops.stack(made)


def unknown_length(x):
    total = ops.zeros(())
    for value in x:
        if value > 0:
            total = total + value
    return total


def appended_unknown_length(x):
    made = []
    state = ops.zeros((2,))
    for row in x:
        state = ops.tanh(state + row)
        made.append(state)
    return ops.stack(made)


def clipped_recurrence(x, w):
    h = ops.zeros((2,))
    for t in range(4):
        h = ops.matmul(x[t] + h, w)
        norm = ops.sqrt(ops.sum(h * h))
        if norm > 1.0:
            h = h / norm
    return h


def adaptive_time(x):
    halting, state, steps = 0.0, x, 0
    while halting < 0.9 and steps < 12:
        p = ops.sigmoid(ops.mean(state))
        weight = min(p, 1.0 - halting)
        state = state + weight * ops.tanh(state)
        halting = halting + weight
        steps += 1
    return state, steps


def descent(x):
    y, rate, last = x, 0.4, 1e9
    for _ in range(30):
        loss = ops.sum((y * y - 2.0) ** 2)
        if loss > last:
            rate = rate * 0.5
        elif loss < 1e-4:
            break
        last = loss
        y = y - rate * 0.1 * y * (y * y - 2.0)
    return y


def fibonacci(limit):
    a, b, count = 0, 1, 0
    while b <= limit:
        a, b, count = b, a + b, count + 1
    return a, count


def countdown(x):
    total = x
    for i in range(5, 0, -2):
        if ops.sum(total) > i:
            total = total - i * 0.1
    return total


def state_in_a_dictionary(x):
    state = {"sum": ops.zeros(()), "count": 0}
    while state["sum"] < 10.0 and state["count"] < 8:
        state["sum"] = state["sum"] + ops.max(x)
        state["count"] += 1
    return state


def escape_time(re, im):
    a, b, count = 0.0, 0.0, 0
    while a * a + b * b < 4.0 and count < 20:
        a, b, count = a * a - b * b + re, 2 * a * b + im, count + 1
    return count


def binary_search(table, value):
    low, high = 0, 8
    while low < high:
        middle = (low + high) // 2
        if table[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


def greedy_path(scores):
    position, total, path = 0, 0.0, []
    for t in range(3):
        step = scores[t, position]
        position = ops.argmax(step)
        total = total + ops.max(step)
        path.append(position)
        if total > 20.0:
            total = total - 1.0
    return total, ops.stack(path)


def two_beams(x):
    best, second = x[0], x[1]
    if second > best:
        best, second = second, best
    for value in x[2:]:
        if value > best:
            best, second = value, best
        elif value > second:
            second = value
    return best * 2.0 + second


def nested_while(x):
    rounds, total = 0, 0.0
    while rounds < 3:
        inner = x
        while inner > 0.5:
            inner = inner * 0.5
            total += inner
        x = x + 1.0
        rounds += 1
    return total


def returned_from_while(x):
    count = 0
    while count < 10:
        x = x * 2.0
        if x > 40.0:
            return x - 40.0
        count += 1
    return x


def halved(x):
    return x * 0.5 if x > 1.0 else x


def helper_in_loop(x):
    steps = 0
    while halved(x) != x:
        x, steps = halved(x), steps + 1
    return x, steps


MIXED, RISING = floats(1, 3, -2, 5), floats(1, 2, 3, 4)
ROWS = floats([1, 0.5], [-1, 2], [0.3, 0.1])
TABLE = floats(-3, -1, 0, 2, 5, 8, 9, 20)
SCORES = floats([[1, 5, 2]] * 3, [[9, 1, 2], [0, 1, 7], [4, 3, 2]], [[1, 2, 3], [30, 2, 1], [2, 9, 4]])

PROGRAMS = [
    converted(collatz, whole(1), whole(6), whole(27)),
    converted(newton_root, number(2), number(1), number(90)),
    converted(power_iteration, floats([2, 1], [1, 3]), floats([1, 0], [0, 1]), floats([0, 1], [1, 0.1])),
    converted(bisection, number(27), number(0.5), gradient=False),
    converted(greatest_divisor, (whole(48), whole(18)), (whole(7), whole(0)), (whole(17), whole(5))),
    converted(counted_by_tensor, (RISING, whole(0)), (RISING, whole(1)), (RISING, whole(5))),
    converted(range_of_tensor, (RISING, whole(0)), (RISING, whole(4))),
    converted(rows, ROWS),
    converted(numbered_rows, ROWS, -ROWS),
    converted(pairs, (MIXED, RISING), (RISING, MIXED)),
    converted(until_negative, MIXED, RISING, -RISING),
    converted(without_negative, MIXED, RISING, -RISING),
    converted(first_above, MIXED, -RISING),
    converted(search_in_rows, ROWS, ROWS * 2.5, ROWS * 9),
    converted(endless_until, MIXED, RISING * 20),
    converted(loop_with_else, MIXED, -RISING),
    converted(appended, MIXED, RISING),
    converted(unknown_length, MIXED, RISING[:1], -RISING, free={0: 0}),
    converted(appended_unknown_length, ROWS, ROWS[:1], free={0: 0}),
    converted(clipped_recurrence, (floats(*[[0.1, 0.2]] * 4), ROWS[:2]), (floats(*[[3, -2]] * 4), ROWS[:2])),
    converted(adaptive_time, MIXED, -RISING, RISING * 3),
    converted(descent, RISING, floats(1.4143, 1.4142, 1.4142, 1.4142), floats(7.5, 1, 1.4, 1.4)),
    converted(fibonacci, whole(0), whole(1), whole(50)),
    converted(countdown, RISING, -RISING, floats(1, 1, 1, 0.5)),
    converted(state_in_a_dictionary, RISING, -RISING, MIXED),
    converted(escape_time, (number(0), number(0)), (number(0.3), number(0.5)), (number(2), number(2))),
    converted(binary_search, (TABLE, number(-9)), (TABLE, number(4)), (TABLE, number(20)), (TABLE, number(99)),
              gradient=False),
    converted(greedy_path, SCORES, -SCORES),
    converted(two_beams, MIXED, RISING, floats(5, 1, 3, 2)),
    converted(nested_while, number(3), number(0.1), number(-9)),
    converted(returned_from_while, number(3), number(0), number(-1)),
    converted(helper_in_loop, number(9), number(0.5)),
]  # fmt: skip
