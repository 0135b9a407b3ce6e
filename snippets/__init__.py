"""The tested code of the lessons: one package a submodule, one module a lesson, named as its page."""
