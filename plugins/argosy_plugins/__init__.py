"""argosy's built-in plugins, each registered by an entry point exactly as a third party's would be."""
