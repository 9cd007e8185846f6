"""Small programs, each with one planted teardown bug; told `repaired`, each runs without it.

They are started as files of their own, import nothing but the standard library, and need no packages.
"""
