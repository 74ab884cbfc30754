"""Runs the exercise that `new-exercise` writes a copy of, with small limits.

It reaches all of the engine (two parts, a second box, follow-through) without torch, so every test of the engine
on it also proves that the engine knows no exercise by name, and that the skeleton works.
"""
