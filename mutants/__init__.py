"""Delete one branch that refuses something, run the tests that cover it: one of them must notice."""
