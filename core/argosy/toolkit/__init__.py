"""Functions that plugins share with argosy.

Names of files, URLs and hosts, HTML forms and refusals, responses, locks, secrets, redaction. A module of this package
imports the interfaces, the models and the errors, and nothing else of argosy.

Plugin packages import public names only: those of `argosy`, `argosy.interfaces`, `argosy.models`, `argosy.errors`,
`argosy.events` and of this package.
"""
