"""Annotation campaigns: slices of volumes without labels, and what people return of them.

Only ``annotate`` and ``report`` use it. ``campaign`` says what a campaign is and holds its folder's
files; it consists of rounds (``asked_round``), which ``round_work`` brings to people.
``make_campaign`` makes one, ``ask_more`` extends it, and ``open_campaign`` opens it for a command.
``sources`` and ``find_volumes`` find the volumes, ``images`` brings them (``nifti1`` what ITK does
not open), ``asked_slices`` chooses slices, ``prefill`` prepares labels. ``worklist``, ``guide`` and
``label_descriptions`` write what annotators read (``guide_pictures`` turns slices upright), and
``predicted_slices`` keeps what networks predict. ``annotation_files`` finds what they deliver and
reads it with ``label_volume``, ``slice_masks``, ``slicer_segmentation`` and ``dicom_segmentation``;
``progress`` collects how far they are (``slice_states`` says of each slice, ``annotated_case`` what
its labels may hold), ``import_campaign`` makes a sparse data set of it. ``slice_times`` keeps the
seconds that slices took, ``times_table`` shows them, and ``cost_fit`` makes the cost of reports of
them. ``second_reading`` asks another annotator for some slices as well, ``reader_agreement``
compares both, and ``agreement_table`` shows it.
"""
