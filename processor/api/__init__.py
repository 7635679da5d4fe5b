"""The HTTP interfaces (http.md): thin: parse, call, render. Needs the extra `http`."""
