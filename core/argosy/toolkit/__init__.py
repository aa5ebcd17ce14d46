"""Functions that plugins share with argosy.

Plugin packages import public names only: those of `argosy`, `argosy.interfaces`, `argosy.models`, `argosy.errors`,
`argosy.events` and of this package, which itself imports nothing else of argosy.
"""
