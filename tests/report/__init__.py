"""Results as text, documents and a page."""
