"""Versions that scripts ask for: those of the interfaces that nbnet follows."""

#: Of Keras.
KERAS = "3.12.0"
#: Of TensorFlow.
TENSORFLOW = "2.20.0"
