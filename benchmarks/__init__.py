"""Requests per second of the server's processor time: this library and its peers, in interleaved rounds."""
