"""Lessons of the submodule 02, Training Deep Networks."""
