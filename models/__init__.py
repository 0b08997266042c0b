"""Models: the classes, how they are copied, saved and loaded (Keras name: `keras.models`), and the zoo."""

from typing import TYPE_CHECKING

from ..builder.cloning import clone_model
from ..builder.functional import Functional
from ..builder.model import Model
from ..builder.sequential import Sequential
from ..trainer.core.later import executed_later, loaded_later

if TYPE_CHECKING:
    from ..builder.describing import describe
    from ..builder.loading import load_model, model_from_json
    from ..builder.saving import save_model
    from . import applications
    from .applications import (
        VGG16,
        VGG19,
        ConvNeXtBase,
        ConvNeXtLarge,
        ConvNeXtSmall,
        ConvNeXtTiny,
        ConvNeXtXLarge,
        DenseNet121,
        DenseNet169,
        DenseNet201,
        EfficientNetB0,
        EfficientNetB1,
        EfficientNetB2,
        EfficientNetB3,
        EfficientNetB4,
        EfficientNetB5,
        EfficientNetB6,
        EfficientNetB7,
        EfficientNetV2B0,
        EfficientNetV2B1,
        EfficientNetV2B2,
        EfficientNetV2B3,
        EfficientNetV2L,
        EfficientNetV2M,
        EfficientNetV2S,
        InceptionResNetV2,
        InceptionV3,
        MobileNet,
        MobileNetV2,
        MobileNetV3Large,
        MobileNetV3Small,
        NASNetLarge,
        NASNetMobile,
        ResNet50,
        ResNet50V2,
        ResNet101,
        ResNet101V2,
        ResNet152,
        ResNet152V2,
        Xception,
    )  # fmt: skip
    from .small import LeNet, TemporalConvNet, TextTransformer, UNet, VisionTransformer


APPLICATIONS = {
    "applications": executed_later(__name__, "applications"),
    **{
        f"applications.{family}": executed_later(__name__, family)
        for family in (
            "convnext", "densenet", "efficientnet", "efficientnet_v2", "imagenet_utils", "inception_resnet_v2",
            "inception_v3", "mobilenet", "mobilenet_v2", "mobilenet_v3", "nasnet", "resnet", "resnet50", "resnet_v2",
            "vgg16", "vgg19", "xception",
        )
    },
}  # fmt: skip
"""The modules of the zoo by the names under which Keras has them."""

NETWORKS = (
    "VGG16", "VGG19", "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge",
    "DenseNet121", "DenseNet169", "DenseNet201", "EfficientNetB0", "EfficientNetB1", "EfficientNetB2",
    "EfficientNetB3", "EfficientNetB4", "EfficientNetB5", "EfficientNetB6", "EfficientNetB7", "EfficientNetV2B0",
    "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3", "EfficientNetV2L", "EfficientNetV2M",
    "EfficientNetV2S", "InceptionResNetV2", "InceptionV3", "MobileNet", "MobileNetV2", "MobileNetV3Large",
    "MobileNetV3Small", "NASNetLarge", "NASNetMobile", "ResNet50", "ResNet50V2", "ResNet101", "ResNet101V2",
    "ResNet152", "ResNet152V2", "Xception",
)  # fmt: skip
SMALL_NETWORKS = ("LeNet", "TemporalConvNet", "TextTransformer", "UNet", "VisionTransformer")

__getattr__, __dir__ = loaded_later(
    __name__,
    {
        "describe": "..builder.describing",
        **dict.fromkeys(("load_model", "model_from_json"), "..builder.loading"),
        "save_model": "..builder.saving",
        **dict.fromkeys(NETWORKS, ".applications"),
        **dict.fromkeys(SMALL_NETWORKS, ".small"),
    },
)

__all__ = [
    "VGG16",
    "VGG19",
    "ConvNeXtBase",
    "ConvNeXtLarge",
    "ConvNeXtSmall",
    "ConvNeXtTiny",
    "ConvNeXtXLarge",
    "DenseNet121",
    "DenseNet169",
    "DenseNet201",
    "EfficientNetB0",
    "EfficientNetB1",
    "EfficientNetB2",
    "EfficientNetB3",
    "EfficientNetB4",
    "EfficientNetB5",
    "EfficientNetB6",
    "EfficientNetB7",
    "EfficientNetV2B0",
    "EfficientNetV2B1",
    "EfficientNetV2B2",
    "EfficientNetV2B3",
    "EfficientNetV2L",
    "EfficientNetV2M",
    "EfficientNetV2S",
    "Functional",
    "InceptionResNetV2",
    "InceptionV3",
    "LeNet",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Large",
    "MobileNetV3Small",
    "Model",
    "NASNetLarge",
    "NASNetMobile",
    "ResNet50",
    "ResNet50V2",
    "ResNet101",
    "ResNet101V2",
    "ResNet152",
    "ResNet152V2",
    "Sequential",
    "TemporalConvNet",
    "TextTransformer",
    "UNet",
    "VisionTransformer",
    "Xception",
    "applications",
    "clone_model",
    "describe",
    "load_model",
    "model_from_json",
    "save_model",
]  # fmt: skip
