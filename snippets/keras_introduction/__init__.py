"""Lessons of the submodule 01, Keras Introduction."""
