"""Random programs of branches and loops in plain Python, as source text: for comparing a graph with Python itself."""

import random

VARIABLES = "abcd"
HEAD = '''
import contextlib

context = contextlib.nullcontext()


def helper(p, q):
    if p > q:
        return p
    while p < q:
        p = p + 0.75
        if q > 3.0:
            break
    return p - q


class Holder:
    pass


def program(x, n):
    flag = True
    holder = Holder()
    holder.state = x[0]
    cells = [x[0] * 2]
    a, b, c, d = x[0], x[1], ops.sum(x), ops.sum(x) * 0.0
    m = int(n)
    total = ops.sum(x) * 0.0

    def bump(v):
        nonlocal total
        total = total + v
'''
TAIL = "    return a + holder.state + total, b + c * d + cells[0]\n"


def program_source(seed: int, depth: int) -> str:
    """The source of a module with a function `program(x, n)`."""
    body = Writer(random.Random(seed)).block(depth, False)
    return HEAD + "\n".join(f"    {line}" for line in body) + "\n" + TAIL


def indented(lines: list[str]) -> list[str]:
    """Lines one level deeper."""
    return [f"    {line}" for line in lines]


class Writer:
    """Writes statements at random."""

    def __init__(self, generator: random.Random) -> None:
        self.choice = generator.choice
        self.chance = generator.random
        self.several = lambda: range(generator.randint(1, 3))
        self.count = 0

    def expression(self) -> str:
        """A scalar tensor."""
        kind, v = self.chance(), self.choice(VARIABLES)
        if kind < 0.3:
            return v
        if kind < 0.5:
            return f"{v} * {self.choice([0.5, -1, 2])}"
        if kind < 0.7:
            return f"{v} + {self.choice(VARIABLES)}"
        if kind < 0.8:
            return f"({self.expression()} if {self.condition()} else {self.expression()})"
        if kind < 0.9:
            return f"ops.tanh({v}) + {self.choice([1.0, -0.5])}"
        return f"max({v}, {self.choice(VARIABLES)})"

    def condition(self) -> str:
        """A truth value of tensors, or of Python."""
        kind, v = self.chance(), self.choice(VARIABLES)
        order = f"{self.choice(VARIABLES)} {self.choice(['<', '>', '<=', '>='])} {self.choice([-1.0, 0.0, 0.5, 1.5])}"
        if kind < 0.6:
            return order
        if kind < 0.7:
            return f"{order} and {v} > {self.choice(VARIABLES)}"
        if kind < 0.8:
            return f"not {order}"
        if kind < 0.9:
            return f"-1.0 < {v} < 1.0 or {order}"
        return self.choice(["True", "flag", "not flag"])

    def block(self, depth: int, in_loop: bool) -> list[str]:
        """One to three statements."""
        return [line for _ in self.several() for line in self.statement(depth, in_loop)]

    def simple(self) -> list[str]:
        """A change of a variable, an attribute, an item or a variable of an inner function."""
        v, e = self.choice(VARIABLES), self.expression
        other = self.choice(VARIABLES.replace(v, ""))
        changes = [f"{v} = {e()}", f"{v} += {e()}", f"{v}, {other} = {e()}, {e()}", f"a = helper({e()}, {e()})"]
        parts = [f"holder.state = holder.state + {e()}", f"cells[0] = {e()}", "a = holder.state + cells[0]"]
        return [self.choice([*changes, *parts, f"bump({e()})"])]

    def statement(self, depth: int, in_loop: bool) -> list[str]:
        """A simple statement, a branch, a loop or an exit."""
        kind = self.chance()
        if depth <= 0 or kind < 0.35:
            return self.simple()
        if kind < 0.6:
            return self.branch(depth - 1, in_loop)
        if kind < 0.78:
            return self.loop(depth - 1, counted=kind < 0.7)
        if kind < 0.84 and in_loop:
            return [f"if {self.condition()}:", *indented([*self.simple(), self.choice(["break", "continue"])])]
        if kind < 0.91:
            return [f"if {self.condition()}:", f"    return {self.expression()}, {self.expression()}"]
        if kind < 0.94:
            return ["with context:", *indented(self.block(depth - 1, in_loop))]
        if kind < 0.97:
            return ["try:", *indented(self.block(depth - 1, in_loop)), "finally:", "    pass"]
        return self.simple()

    def branch(self, depth: int, in_loop: bool) -> list[str]:
        """`if`, perhaps with `elif` and `else`."""
        lines = [f"if {self.condition()}:", *indented(self.block(depth, in_loop))]
        if self.chance() < 0.3:
            lines += [f"elif {self.condition()}:", *indented(self.block(depth, in_loop))]
        if self.chance() < 0.5:
            lines += ["else:", *indented(self.block(depth, in_loop))]
        return lines

    def loop(self, depth: int, counted: bool) -> list[str]:
        """`for` over numbers, sizes and tensors, or `while` with a limit."""
        self.count += 1
        i = f"i{self.count}"
        if counted:
            over = self.choice(["range(2)", "x", "range(x.shape[0])", "range(m)", "enumerate(x)", "[a, b]"])
            target = f"j{self.count}, {i}" if over == "enumerate(x)" else i
            first = f"{self.choice(VARIABLES)} = {i} * 0.25 + {self.choice(VARIABLES)}"
            return [f"for {target} in {over}:", *indented([first, *self.block(depth, True)])]
        test = f"{i} < {self.choice(['2', 'm'])} and {self.condition()}"
        return [f"{i} = 0", f"while {test}:", *indented([f"{i} += 1", *self.block(depth, True)])]
