"""How well interpolated labels agree with the dense ones they stand for."""
