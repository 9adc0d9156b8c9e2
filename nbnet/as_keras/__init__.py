"""Scripts written for Keras and TensorFlow, run without a changed line.

:func:`install_as_keras` answers ``import keras`` and ``import tensorflow`` with nbnet, in this process;
``python -m nbnet run script.py`` does so for a script. ``finder.py`` answers imports, ``places.py`` is the table of
what is found where, ``old_keras.py`` is about arguments, methods and functions of older versions of Keras, and ``tf/``
is the part of TensorFlow that scripts use beside Keras. Nothing else in nbnet imports this package.
"""

from nbnet.as_keras.finder import install_as_keras, uninstall_as_keras

__all__ = ["install_as_keras", "uninstall_as_keras"]
