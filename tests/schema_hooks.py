"""What the document's formats mean, for the generator of requests: names that no regular expression describes wholly."""

import schemathesis
from hypothesis import strategies as st

words = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=20)
schemathesis.openapi.format("uri", words.map(lambda word: f"http://127.0.0.1:1/{word}"))
schemathesis.openapi.format("path", words.map(lambda word: f"/nonexistent/{word}"))
