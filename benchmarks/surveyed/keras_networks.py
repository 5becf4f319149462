"""Networks of Keras, by name.  Builders take the module `keras`, which is imported nowhere here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

Builder = Callable[[Any], Any]

TYPES = ("int8", "int16x8", "float16")
NETWORKS: dict[str, Builder] = {}

_SMALL: dict[str, Any] = {"weights": None, "input_shape": (64, 64, 3), "classes": 10}
# LiteRT's softmax of int8 ends the process where a thousand classes are about equally likely.
_APPLICATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "mobilenet": ("MobileNet", {"alpha": 0.25}),
    "mobilenet_v2": ("MobileNetV2", {"alpha": 0.35}),
    "mobilenet_v3": ("MobileNetV3Small", {}),
    "mobilenet_v3_minimalistic": ("MobileNetV3Small", {"minimalistic": True}),
    "efficientnet_b0": ("EfficientNetB0", {}),
    "efficientnet_v2_b0": ("EfficientNetV2B0", {}),
}


def _application(name: str, options: dict[str, Any], keras: Any) -> Any:
    return getattr(keras.applications, name)(**_SMALL, **options)


NETWORKS |= {key: partial(_application, *value) for key, value in _APPLICATIONS.items()}


def network(shape: tuple[int, ...]) -> Callable[[Callable[[Any, Any], Any]], Builder]:
    """Decorator of a function from `keras.layers` and an input to an output."""

    def decorate(body: Callable[[Any, Any], Any]) -> Builder:
        def build(keras: Any) -> Any:
            given = keras.Input(shape, batch_size=1)
            return keras.Model(given, body(keras.layers, given))

        NETWORKS[body.__name__] = build
        return build

    return decorate


IMAGE, SIGNAL = (48, 48, 3), (128, 4)


def _conv(k: Any, x: Any, width: int, size: int = 3, stride: int = 1, act: str = "relu") -> Any:
    x = k.Conv2D(width, size, stride, padding="same", use_bias=False)(x)
    return k.Activation(act)(k.BatchNormalization()(x))


def _head(k: Any, x: Any) -> Any:
    return k.Dense(10, activation="softmax")(k.GlobalAveragePooling2D()(x))


@network(IMAGE)
def cnn(k: Any, x: Any) -> Any:
    """Convolutions and poolings, as tutorials have them."""
    for width in (8, 16, 32):
        x = k.MaxPooling2D()(k.Conv2D(width, 3, activation="relu")(x))
    return k.Dense(10, activation="softmax")(k.Dense(32, activation="relu")(k.Flatten()(x)))


@network(IMAGE)
def resnet(k: Any, x: Any) -> Any:
    """Residual blocks."""
    x = _conv(k, x, 16)
    for width in (16, 32):
        y = _conv(k, _conv(k, x, width, stride=2), width)
        x = k.ReLU()(k.Add()([k.Conv2D(width, 1, 2)(x), y]))
    return _head(k, x)


@network(IMAGE)
def squeeze_and_excitation(k: Any, x: Any) -> Any:
    """Gates."""
    x = _conv(k, x, 16, stride=2, act="hard_silu")
    gate = k.GlobalAveragePooling2D(keepdims=True)(x)
    gate = k.Conv2D(16, 1, activation="hard_sigmoid")(k.Conv2D(4, 1, activation="relu")(gate))
    return _head(k, k.Multiply()([x, gate]))


@network(IMAGE)
def dense_blocks(k: Any, x: Any) -> Any:
    """Concatenations."""
    x = _conv(k, x, 16, stride=2)
    for _ in range(3):
        x = k.Concatenate()([x, _conv(k, x, 8)])
    return _head(k, k.AveragePooling2D(2)(x))


@network(IMAGE)
def unet_transposed(k: Any, x: Any) -> Any:
    """Up by transposed convolutions."""
    return _unet(k, x, lambda y, width: k.Conv2DTranspose(width, 2, 2)(y))


@network(IMAGE)
def unet_bilinear(k: Any, x: Any) -> Any:
    """Up bilinearly."""
    return _unet(k, x, lambda y, _: k.UpSampling2D(interpolation="bilinear")(y))


@network(IMAGE)
def unet_nearest(k: Any, x: Any) -> Any:
    """Up by repetition."""
    return _unet(k, x, lambda y, _: k.UpSampling2D()(y))


def _unet(k: Any, x: Any, up: Callable[[Any, int], Any]) -> Any:
    skips = []
    for width in (8, 16):
        x = _conv(k, x, width)
        skips.append(x)
        x = k.MaxPooling2D()(x)
    x = _conv(k, x, 32)
    for width, skip in zip((16, 8), reversed(skips)):
        x = _conv(k, k.Concatenate()([up(x, width), skip]), width)
    return k.Conv2D(1, 1, activation="sigmoid")(x)


@network(IMAGE)
def autoencoder(k: Any, x: Any) -> Any:
    """Strides and their mirror."""
    for width in (8, 16, 32):
        x = k.Conv2D(width, 3, 2, padding="same", activation="relu")(x)
    for width in (16, 8):
        x = k.Conv2DTranspose(width, 3, 2, padding="same", activation="relu")(x)
    return k.Conv2DTranspose(3, 3, 2, padding="same", activation="sigmoid")(x)


@network((24, 24, 1))
def sub_pixels(k: Any, x: Any) -> Any:
    """Depth to space."""
    import tensorflow as tf

    x = k.Conv2D(16, 5, padding="same", activation="tanh")(x)
    x = k.Conv2D(4, 3, padding="same")(x)
    return k.Lambda(lambda t: tf.nn.depth_to_space(t, 2))(x)


@network(IMAGE)
def blocks_of_pixels(k: Any, x: Any) -> Any:
    """Space to depth first."""
    import tensorflow as tf

    return _head(k, _conv(k, k.Lambda(lambda t: tf.nn.space_to_depth(t, 4))(x), 24))


@network(IMAGE)
def channel_shuffle(k: Any, x: Any) -> Any:
    """Reshape, transpose and reshape between grouped convolutions."""
    x = _conv(k, x, 16, stride=2)
    y = k.Permute((1, 2, 4, 3))(k.Reshape((24, 24, 2, 8))(x))
    return _head(k, k.DepthwiseConv2D(3, padding="same")(k.Reshape((24, 24, 16))(y)))


@network(IMAGE)
def dilated(k: Any, x: Any) -> Any:
    """Context by dilations."""
    x = _conv(k, x, 16, stride=2)
    parts = [
        k.Conv2D(8, 3, padding="same", dilation_rate=d, activation="relu")(x) for d in (1, 2, 4)
    ]
    return _head(k, k.Concatenate()(parts))


@network(IMAGE)
def activations(k: Any, x: Any) -> Any:
    """PReLU, leaky ReLU, ELU, swish, GELU."""
    x = k.PReLU(shared_axes=(1, 2), alpha_initializer="random_normal")(k.Conv2D(8, 3, 2)(x))
    x = k.LeakyReLU()(k.Conv2D(8, 3)(x))
    x = k.Activation("elu")(k.Conv2D(8, 3, 2)(x))
    x = k.Activation("swish")(k.Conv2D(8, 3)(x))
    return _head(k, k.Activation("gelu")(k.Conv2D(12, 3)(x)))


@network(IMAGE)
def separable(k: Any, x: Any) -> Any:
    """Separable convolutions with ReLU6."""
    x = _conv(k, x, 8, stride=2, act="relu6")
    for width in (16, 32):
        x = k.SeparableConv2D(width, 3, padding="same", use_bias=False)(x)
        x = k.MaxPooling2D(3, 2, padding="same")(k.ReLU(6.0)(k.BatchNormalization()(x)))
    return _head(k, x)


@network(IMAGE)
def layer_norm(k: Any, x: Any) -> Any:
    """ConvNeXt's block."""
    x = k.Conv2D(16, 4, 4)(x)
    y = k.LayerNormalization(epsilon=1e-6)(k.DepthwiseConv2D(7, padding="same")(x))
    y = k.Conv2D(16, 1)(k.Conv2D(64, 1, activation="gelu")(y))
    return _head(k, k.Add()([x, y]))


@network(IMAGE)
def group_norm(k: Any, x: Any) -> Any:
    """Groups of channels, normalised."""
    x = k.ReLU()(k.GroupNormalization(4)(k.Conv2D(16, 3, 2, padding="same")(x)))
    return _head(k, x)


@network((64, 64, 3))
def attention(k: Any, x: Any) -> Any:
    """A block of attention over patches."""
    x = k.Reshape((64, 24))(k.Conv2D(24, 8, 8)(x))
    y = k.MultiHeadAttention(2, 12)(x, x)
    x = k.LayerNormalization()(k.Add()([x, y]))
    return k.Dense(10, activation="softmax")(k.GlobalAveragePooling1D()(x))


@network((49, 40, 1))
def spoken_words(k: Any, x: Any) -> Any:
    """Depthwise separable convolutions over a spectrogram."""
    x = _conv(k, x, 24, (10, 4), 2)
    for _ in range(3):
        x = k.ReLU()(k.DepthwiseConv2D(3, padding="same")(x))
        x = _conv(k, x, 24, 1)
    return _head(k, x)


@network(SIGNAL)
def conv_1d(k: Any, x: Any) -> Any:
    """Along time."""
    for width in (8, 16):
        x = k.MaxPooling1D()(k.Conv1D(width, 5, padding="same", activation="relu")(x))
    return k.Dense(5, activation="softmax")(k.GlobalAveragePooling1D()(x))


@network(SIGNAL)
def temporal(k: Any, x: Any) -> Any:
    """Causal and dilated, residual."""
    x = k.Conv1D(12, 1)(x)
    for dilation in (1, 2, 4):
        y = k.Conv1D(12, 3, padding="causal", dilation_rate=dilation, activation="relu")(x)
        x = k.Add()([x, y])
    return k.Dense(5)(k.Flatten()(x))


@network(SIGNAL)
def autoencoder_1d(k: Any, x: Any) -> Any:
    """Up again by repetition and by a transposed convolution."""
    x = k.Conv1D(8, 7, 2, padding="same", activation="relu")(x)
    x = k.Conv1D(16, 5, 2, padding="same", activation="relu")(x)
    x = k.Conv1D(8, 5, padding="same", activation="relu")(k.UpSampling1D()(x))
    return k.Conv1DTranspose(4, 4, 2, padding="same")(x)


@network((32, 8))
def lstm(k: Any, x: Any) -> Any:
    """A recurrent layer, unrolled by no one."""
    return k.Dense(4)(k.LSTM(12)(x))


@network((32, 8))
def gru(k: Any, x: Any) -> Any:
    """Unrolled by Keras, as TFLite has no GRU."""
    return k.Dense(4)(k.GRU(8, unroll=True)(x))


@network((64,))
def dense(k: Any, x: Any) -> Any:
    """Fully connected layers."""
    x = k.BatchNormalization()(k.Dense(32, activation="relu")(x))
    return k.Dense(64)(k.Dense(8, activation="relu")(x))
