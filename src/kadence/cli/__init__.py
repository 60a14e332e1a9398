"""The command line: thin verbs over the client, the view and the worker."""
