"""Found as ``tensorflow`` by child processes of ``python -m nbnet run``, which inherit the search path."""

if __name__ == "tensorflow":
    from nbnet.as_keras import install_as_keras

    install_as_keras()
