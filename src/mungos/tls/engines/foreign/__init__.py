"""What the engines share that bind a library of TLS: all but the library itself."""
