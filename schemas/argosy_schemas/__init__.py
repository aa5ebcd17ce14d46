"""The JSON Schemas of argosy's files, as package data."""
