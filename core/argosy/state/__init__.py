"""The ledger of a target directory, and the staging of unfinished items. Read `ledger` first."""
