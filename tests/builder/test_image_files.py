"""Pictures in files and as arrays, beside Pillow and Keras; and the program that this library was started for."""

import io

import numpy as np
import pytest

import sardonyx as sx
from sardonyx.preprocessing import image

PIL = pytest.importorskip("PIL.Image")
PIXELS = np.random.default_rng(0).integers(0, 256, (12, 20, 4)).astype(np.uint8)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    PIL.fromarray(PIXELS).save(path)
    return path


CASES = [
    {},
    {"color_mode": "rgba"},
    {"color_mode": "grayscale"},
    {"target_size": (6, 5)},
    {"target_size": (12, 20)},
    {"target_size": (24, 10), "interpolation": "bilinear"},
    {"target_size": (5, 5), "interpolation": "lanczos", "keep_aspect_ratio": True},
    {"target_size": (3, 20), "interpolation": "box", "keep_aspect_ratio": True},
]


@pytest.mark.peers
@pytest.mark.parametrize("options", CASES, ids=str)
def test_pictures_are_those_of_keras(picture, options):
    utils = pytest.importorskip("keras").utils
    for source in (picture, str(picture), str(picture).encode()):
        found, expected = image.load_img(source, **options), utils.load_img(source, **options)
        assert found.mode == expected.mode
        np.testing.assert_array_equal(image.img_to_array(found), utils.img_to_array(expected))
    for layout in ("channels_first", "channels_last"):
        array = utils.img_to_array(expected, data_format=layout)
        np.testing.assert_array_equal(image.img_to_array(found, data_format=layout), array)
        for scale in (True, False):
            made, theirs = (of.array_to_img(array, layout, scale) for of in (image, utils))
            assert made.mode == theirs.mode
            np.testing.assert_array_equal(np.asarray(made), np.asarray(theirs))


def test_pictures_are_those_of_pillow(picture):
    np.testing.assert_array_equal(image.img_to_array(image.load_img(picture)), PIXELS[..., :3].astype(np.float32))
    small = image.load_img(picture, "rgb", (6, 10), "box")
    np.testing.assert_allclose(np.asarray(small), PIXELS[..., :3].reshape(6, 2, 10, 2, 3).mean((1, 3)), atol=1)
    middle = image.load_img(picture, target_size=(12, 12), keep_aspect_ratio=True)
    np.testing.assert_array_equal(np.asarray(middle), PIXELS[:, 4:16, :3])
    in_memory = io.BytesIO(picture.read_bytes())
    assert image.load_img(in_memory).size == (20, 12)


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_pictures_keep_their_depth(tmp_path, bits):
    values = (np.arange(24).reshape(4, 6) * (7 if bits == 8 else 2000)).astype(f"uint{bits}")
    PIL.fromarray(values).save(tmp_path / "grey.png")
    found = sx.utils.img_to_array(sx.utils.load_img(tmp_path / "grey.png", "grayscale"))
    np.testing.assert_array_equal(found[..., 0], values)
    made = sx.utils.array_to_img(found, scale=False)
    np.testing.assert_array_equal(np.asarray(made), values)


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp"])
def test_arrays_become_files(tmp_path, ending):
    image.save_img(tmp_path / f"x.{ending}", np.full((8, 9, 4), 200), scale=False)
    found = image.load_img(tmp_path / f"x.{ending}")
    assert abs(np.asarray(found).astype(int) - 200).max() <= 1
    image.save_img(tmp_path / "given", np.zeros((8, 9, 3)), file_format="png")
    assert (tmp_path / "given").read_bytes().startswith(b"\x89PNG")


MISTAKES = [
    (
        lambda path: image.load_img(path, "rbg"),
        ValueError,
        "color_mode must be 'rgb', 'rgba' or 'grayscale', got 'rbg'",
    ),
    (lambda path: image.load_img(path, interpolation="linear"), ValueError, "interpolation must be 'nearest'"),
    (lambda path: image.load_img(path, target_size=(3,)), ValueError, r"target_size is \(height, width\), got \(3,\)"),
    (lambda path: image.load_img(3), TypeError, "expected a path or an io.BytesIO, got 3"),
    (lambda path: image.img_to_array(np.ones(3)), ValueError, r"two or three axes, got shape \(3,\)"),
    (lambda path: image.img_to_array(np.ones((3, 3)), "HWC"), ValueError, "data_format must be 'channels_last' or"),
    (lambda path: image.array_to_img(np.ones((3, 3))), ValueError, "three axes, got shape"),
    (lambda path: image.array_to_img(np.ones((3, 3, 2))), ValueError, "1, 3 or 4 channels, got 2"),
]


@pytest.mark.parametrize(("mistake", "kind", "message"), MISTAKES)
def test_mistakes_are_told(picture, mistake, kind, message):
    with pytest.raises(kind, match=message):
        mistake(picture)


def test_names_are_found_as_in_keras():
    import sardonyx.preprocessing.image as by_module

    assert by_module is image is sx.preprocessing.image
    assert sx.utils.load_img is image.load_img and sx.utils.img_to_array is image.img_to_array


def features_of(base_model, img_path, preprocess_input):
    from sardonyx.models import Model

    model = Model(inputs=base_model.input, outputs=base_model.get_layer("block4_pool").output)
    img = image.load_img(img_path, target_size=(224, 224))
    x = image.img_to_array(img)
    x = np.expand_dims(x, axis=0)
    x = preprocess_input(x)
    return model, x, model.predict(x, verbose=0)


@pytest.mark.slow
def test_features_of_a_layer_of_vgg19(picture):
    from sardonyx.applications.vgg19 import VGG19, preprocess_input

    model, x, found = features_of(VGG19(weights=None, include_top=False), picture, preprocess_input)
    assert found.shape == (1, 14, 14, 512) and found.dtype == np.float32 and np.ptp(found) > 0
    np.testing.assert_allclose(found, np.asarray(model(x)), rtol=1e-3, atol=1e-4)


@pytest.mark.nightly
def test_features_of_a_layer_of_the_whole_vgg19():
    from sardonyx.applications import VGG19
    from sardonyx.applications.vgg19 import preprocess_input

    data = pytest.importorskip("skimage.data")
    base_model = VGG19(weights=None)
    _, _, found = features_of(base_model, io.BytesIO(png_of(data.astronaut())), preprocess_input)
    assert found.shape == (1, 14, 14, 512) and np.ptp(found) > 0


def png_of(pixels):
    stream = io.BytesIO()
    PIL.fromarray(pixels).save(stream, "png")
    return stream.getvalue()
