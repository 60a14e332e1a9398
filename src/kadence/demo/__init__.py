"""The demo: a broker in this process, a worker and a few jobs, so that one command shows what kadence does."""
