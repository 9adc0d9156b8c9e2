"""Found as ``tf_keras`` by child processes of ``python -m nbnet run``, which inherit the search path."""

if __name__ == "tf_keras":
    from nbnet.as_keras import install_as_keras

    install_as_keras()
