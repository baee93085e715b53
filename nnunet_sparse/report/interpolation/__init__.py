"""How well interpolated labels agree with the dense ones that they stand for.

``interpolation_quality`` measures one volume (:func:`measure_case`), ``case_measurements`` those of
a data set, ``quality_table`` pools volumes (:func:`quality_rows`) and writes the tables,
``quality_figures`` draws them. ``quality_command`` is the command, which others do not import.
"""
