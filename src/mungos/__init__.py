"""Mungos: networking that provably ends."""
