"""The far ends: processes that put a closed loop of requests on a server and check every answer."""
