"""The HTTP interfaces (http.md) come here."""
