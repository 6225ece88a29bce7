"""Pictures of graphs: a layered layout of our own, as SVG, or as PNG by matplotlib. No system package is needed."""
