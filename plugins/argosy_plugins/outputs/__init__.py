"""Outputs: turn the finished files of items into the files to keep."""
