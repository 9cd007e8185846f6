"""Fuzzing: bytes of any kind into every decoder and every handshake, which may only end in typed failures."""
