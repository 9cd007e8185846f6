"""Cryptographic primitives behind one contract. A provider is imported by its own module
(`mungos.crypto.with_cryptography`), so that a library that is not installed is not asked for."""
