"""Passes on TVM's graph IR (Relax), and the analyses of the graph that they share."""
