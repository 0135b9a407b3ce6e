"""What the fork server imports once for all pages. Nothing here may run a TensorFlow operation."""

import contextlib
import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import matplotlib.pyplot  # noqa: E402, F401
import pytest_examples  # noqa: E402, F401

import tests.harness.execution  # noqa: E402, F401

with contextlib.suppress(ImportError):
    import keras  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import sklearn.metrics  # noqa: F401
    import sklearn.model_selection  # noqa: F401
    import tensorflow  # noqa: F401
