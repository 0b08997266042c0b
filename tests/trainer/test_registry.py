"""Names and configurations become the objects they stand for, and nothing else does."""

import json

import numpy as np
import pytest

from sardonyx.trainer import registry as r
from sardonyx.trainer.core.dims import dim
from sardonyx.trainer.core.tensor import Tensor
from sardonyx.trainer.serialization import MODULES


class Animal:
    def __init__(self, legs=4, friend=None):
        self.legs, self.friend = legs, friend

    def get_config(self):
        return {"legs": self.legs, "friend": r.serialize_object(self.friend)}

    @classmethod
    def from_config(cls, config):
        return cls(config["legs"], r.deserialize_object(config["friend"]))

    def __eq__(self, other):
        return type(self) is type(other) and (self.legs, self.friend) == (other.legs, other.friend)

    __hash__ = None


class BigCat(Animal):
    pass


class Needy(Animal):
    def __init__(self, food):
        super().__init__(4)


class Stranger(Animal):
    pass


@r.register_keras_serializable(package="zoo")
class Zebra(Animal):
    pass


@r.register_serializable(package="zoo", name="bray")
def braying(x):
    return x


def purr(x):
    return x


@pytest.fixture
def animals():
    made = r.Registry("animal", "animals_of_the_test", base=Animal)
    made.register("cat")(BigCat)
    made.add(Needy)
    made.add(purr, "hum")
    yield made
    del MODULES["animals_of_the_test"]


@pytest.mark.parametrize("name", ["BigCat", "big_cat", "bigcat", "BIGCAT", "cat", "Cat"])
def test_get_by_name_makes_an_instance(animals, name):
    assert animals.get(name) == BigCat()


@pytest.mark.parametrize(
    ("name", "snake"),
    [("MeanSquaredError", "mean_squared_error"), ("SGD", "sgd"), ("RMSprop", "rm_sprop"), ("R2Score", "r2_score")],
)
def test_snake_case(name, snake):
    assert r.snake_case(name) == snake


def test_get_accepts_every_form(animals):
    cat = BigCat(3)
    assert animals.get(None) is None
    assert animals.get(cat) is cat
    assert animals.get(BigCat) == BigCat()
    assert animals.get("purr") is animals.get("hum") is animals.get(purr) is purr
    assert animals.get({"class_name": "cat", "config": {"legs": 3, "friend": None}}) == cat
    assert animals.get("Zebra") == animals.get("zoo>Zebra") == Zebra()
    assert animals.get("mine", {"mine": Stranger}) == Stranger()
    assert "cat" in animals.names()


VALUES = [
    None, True, 3, 2.5, "text", [1, [2]], (1, (2, "x")), {"a": (1, None)}, slice(1, None, 2), Ellipsis,
    (slice(None), [Ellipsis]), dim("batch"), 2 * dim("time") + 1, np.float32(1.5).item(),
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_survive_json(value):
    assert r.deserialize_object(json.loads(json.dumps(r.serialize_object(value)))) == value


@pytest.mark.parametrize("array", [np.zeros((0, 3)), np.arange(4, dtype="int8"), np.float32([[0.1, np.inf]])], ids=repr)
@pytest.mark.parametrize("kind", [np.asarray, Tensor], ids=["array", "tensor"])
def test_arrays_survive_json(array, kind):
    back = r.deserialize_object(json.loads(json.dumps(r.serialize_object(kind(array)))))
    assert isinstance(back, type(kind(array)))
    np.testing.assert_array_equal(np.asarray(back), array, strict=True)


def test_numpy_scalars_and_dtypes_become_plain():
    assert r.serialize_object({"a": np.float64(2), "b": np.dtype("int8")}) == {"a": 2.0, "b": "int8"}
    assert type(r.serialize_object(np.float64(2))) is float


@pytest.mark.parametrize("obj", [BigCat(3), BigCat((1, 2), friend=Zebra(2)), Zebra(friend=purr), BigCat(friend=braying),
                                 [Zebra(), {"k": BigCat}], Zebra])  # fmt: skip
def test_objects_survive_json(animals, obj):
    assert r.deserialize_object(json.loads(json.dumps(r.serialize_object(obj)))) == obj


def test_form_of_a_configuration(animals):
    assert r.serialize_object(BigCat()) == {
        "module": "sardonyx.animals_of_the_test", "class_name": "BigCat", "registered_name": None,
        "config": {"legs": 4, "friend": None},
    }  # fmt: skip
    assert r.serialize_object(Zebra())["registered_name"] == "zoo>Zebra"
    assert r.serialize_object(braying)["config"] == "braying"
    assert animals.serialize(purr) == "purr"
    assert animals.deserialize("purr") is purr
    assert animals.deserialize(animals.serialize(Zebra(1))) == Zebra(1)


@pytest.mark.parametrize("module", ["keras.animals_of_the_test", "keras.src.animals_of_the_test.cats", "keras", None])
def test_configurations_of_keras_are_read(animals, module):
    config = {"module": module, "class_name": "BigCat", "config": {"legs": 2, "friend": None}, "registered_name": None}
    assert r.deserialize_object(config) == BigCat(2)


def test_build_and_compile_configs_are_carried(animals):
    class Built(Animal):
        def get_build_config(self):
            return {"shape": (None, 3)}

        def build_from_config(self, config):
            self.built = config["shape"]

        def get_compile_config(self):
            return {"loss": "mse"}

        def compile_from_config(self, config):
            self.loss = config["loss"]

    config = json.loads(json.dumps(r.serialize_object(Built())))
    made = r.deserialize_object(config, {"Built": Built})
    assert (made.built, made.loss) == ((None, 3), "mse")


def test_scopes_nest_and_end():
    with r.custom_object_scope({"x": 1, "y": 1}), r.CustomObjectScope({"x": 2}):
        assert (r.get_registered_object("x"), r.get_registered_object("y")) == (2, 1)
    assert r.get_registered_object("x") is None
    assert r.get_registered_object("x", {"x": 3}, {"x": 4}) == 3
    assert r.get_registered_object("x", None, {"x": 4}) == 4


def test_registered_names():
    assert r.get_registered_name(Zebra) == "zoo>Zebra"
    assert r.get_registered_name(Stranger) == "Stranger"
    assert r.get_custom_objects()["zoo>bray"] is braying


def test_own_class_wins_over_a_registered_one_of_its_name(animals):
    fake = type("BigCat", (Animal,), {})
    r.register_keras_serializable("fake")(fake)
    try:
        assert type(r.deserialize_object(r.serialize_object(BigCat()))) is BigCat
        assert type(animals.get("BigCat")) is BigCat
        assert type(r.deserialize_object(r.serialize_object(fake()))) is fake
    finally:
        del r.get_custom_objects()["fake>BigCat"]


def test_safe_mode():
    class Mode(Animal):
        @classmethod
        def from_config(cls, config):
            return r.in_safe_mode()

    config, known = r.serialize_object(Mode()), {"Mode": Mode}
    assert r.deserialize_object(config, known) is True
    assert r.deserialize_object(config, known, safe_mode=False) is False
    with r.safe_mode_scope(False):
        assert r.deserialize_object(config, known) is False


def configuration(name, **more):
    return {"class_name": name, "config": {}, **more}


ERRORS = [
    (lambda a: a.get("bigcats"), ValueError, "unknown animal 'bigcats'; did you mean 'BigCat' or"),
    (lambda a: a.get("xyz"), ValueError, "unknown animal 'xyz'. Known: BigCat, Needy, cat, hum, purr"),
    (lambda a: a.get(7), TypeError, "expected an animal: a name, a configuration, an object of class Animal, or"),
    (lambda a: a.get(dict), TypeError, "expected an animal"),
    (lambda a: a.get("Needy"), TypeError, "animal Needy cannot be made from its name alone"),
    (lambda a: a.add(type("Lion", (), {}), "cat"), ValueError, "animal 'cat' already stands for"),
    (lambda a: r.Registry("b", "b", Animal, functions=False).get(purr), TypeError, "an object of class Animal; got"),
    (lambda a: r.serialize_object(lambda x: x), TypeError, "a lambda cannot be written"),
    (lambda a: r.serialize_object(object()), TypeError, "expected numbers, string"),
    (lambda a: r.serialize_object({1: 2}), TypeError, "the key 1 into a configuration: keys are strings"),
    (lambda a: r.deserialize_object(r.serialize_object(Stranger())), ValueError, "custom_objects={'Stranger': Stran"),
    (lambda a: r.deserialize_object(configuration("system", module="os")), ValueError, "'system' (from module 'os')"),
    (lambda a: r.deserialize_object(configuration("BigCt", module="sardonyx.x")), ValueError, "did you mean 'BigCat'"),
    (lambda a: r.deserialize_object(configuration("BigCat", module="__main__")), ValueError, "module '__main__')"),
    (lambda a: a.deserialize(configuration("bigct")), ValueError, "did you mean 'bigcat'"),
    (lambda a: r.deserialize_object(configuration(3)), TypeError, '"class_name" is a string, got 3'),
    (lambda a: r.deserialize_object({"class_name": "function", "config": {}}), TypeError, "named by a string"),
    (lambda a: r.deserialize_object({"class_name": "BigCat", "config": 3}), TypeError, "is a dictionary of arguments"),
    (lambda a: r.deserialize_object({"class_name": "__numpy__", "config": 3}), TypeError, "__numpy__ cannot be read"),
    (lambda a: r.custom_object_scope([1]), TypeError, "expected a dictionary of names"),
    (lambda a: r.register_keras_serializable()(3), ValueError, "expected a class or a function, got 3"),
    (lambda a: r.register_keras_serializable()(type("A", (), {})), ValueError, "class A has no get_config()"),
    (lambda a: r.register_keras_serializable("zoo", "Zebra")(Stranger), ValueError, "already stands for"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), ERRORS, ids=[row[2] for row in ERRORS])
def test_errors_teach(animals, call, error, message):
    try:
        with pytest.raises(error) as caught:
            call(animals)
        assert message in str(caught.value)
    finally:
        MODULES.pop("b", None)
