"""Variance scaling under the names of those who found the scale: Glorot, He, LeCun."""

from nbnet.initializers.scaling import Scaled


class GlorotUniform(Scaled):
    """Uniform of variance ``2 / (fan_in + fan_out)``: Keras's default for kernels.

    Parameters
    ----------
    seed : int or None

    Examples
    --------
    >>> from nbnet.initializers import GlorotUniform
    >>> bool(abs(GlorotUniform(seed=1)((64, 32))).max() <= 0.25)
    True
    """

    recipe = 1.0, "fan_avg", "uniform"


class GlorotNormal(Scaled):
    """Truncated normal of variance ``2 / (fan_in + fan_out)``.

    Parameters
    ----------
    seed : int or None

    Examples
    --------
    >>> from nbnet.initializers import GlorotNormal
    >>> GlorotNormal(seed=1)((64, 32)).shape
    (64, 32)
    """

    recipe = 1.0, "fan_avg", "truncated_normal"


class HeUniform(Scaled):
    """Uniform of variance ``2 / fan_in``, for ReLU.

    Parameters
    ----------
    seed : int or None

    Examples
    --------
    >>> from nbnet.initializers import HeUniform
    >>> bool(abs(HeUniform(seed=1)((600, 32))).max() <= 0.1)
    True
    """

    recipe = 2.0, "fan_in", "uniform"


class HeNormal(Scaled):
    """Truncated normal of variance ``2 / fan_in``, for ReLU.

    Parameters
    ----------
    seed : int or None

    Examples
    --------
    >>> from nbnet.initializers import HeNormal
    >>> HeNormal(seed=1)((64, 32)).shape
    (64, 32)
    """

    recipe = 2.0, "fan_in", "truncated_normal"


class LecunUniform(Scaled):
    """Uniform of variance ``1 / fan_in``.

    Parameters
    ----------
    seed : int or None

    Examples
    --------
    >>> from nbnet.initializers import LecunUniform
    >>> bool(abs(LecunUniform(seed=1)((300, 32))).max() <= 0.1)
    True
    """

    recipe = 1.0, "fan_in", "uniform"


class LecunNormal(Scaled):
    """Truncated normal of variance ``1 / fan_in``; what SELU wants.

    Parameters
    ----------
    seed : int or None

    Examples
    --------
    >>> from nbnet.initializers import LecunNormal
    >>> LecunNormal(seed=1)((64, 32)).shape
    (64, 32)
    """

    recipe = 1.0, "fan_in", "truncated_normal"
