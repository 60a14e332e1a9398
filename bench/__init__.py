"""Figures of kadence on a real broker; see `bench.figures`."""
